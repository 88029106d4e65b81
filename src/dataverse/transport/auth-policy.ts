import type { AccessToken, TokenCredential } from '@azure/core-auth';
import type { PipelinePolicy, PipelineRequest } from '@azure/core-rest-pipeline';
import { ConfigurationError, RetriableError } from '../../errors.ts';
import { shortMessage } from '../errors/error-response.ts';

/** A token is renewed when less than this is left of it. Dataverse tokens live 60 to 90 minutes. */
const refreshWindowMs = 5 * 60_000;

/** How long a credential that gives the same ageing token again is left alone: asking may start a process. */
const askAgainMs = 30_000;

/** Keeps the bearer token of one environment: one request for it at a time, renewed before it ends. */
export class TokenSource {
  readonly #credential: TokenCredential & { forget?: () => void };
  readonly #scope: string;
  #token: AccessToken | undefined;
  #askedAt = 0;
  #pending: Promise<string> | undefined;

  constructor(credential: TokenCredential, origin: string) {
    this.#credential = credential;
    this.#scope = `${origin}/.default`;
  }

  /** @throws ConfigurationError where the identity is refused, RetriableError where the token service is down */
  async get(): Promise<string> {
    const token = this.#token;
    const now = Date.now();
    const leftMs = (token?.expiresOnTimestamp ?? 0) - now;
    const isFresh = leftMs > refreshWindowMs && (token?.refreshAfterTimestamp ?? Infinity) > now;
    const stillGood = leftMs > 10_000;
    if (token && (isFresh || (stillGood && now - this.#askedAt < askAgainMs))) return token.token;
    this.#pending ??= this.#request(stillGood ? token : undefined).finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  /** The server refused this token: the next one must be new. */
  reject(token: string): void {
    if (this.#token?.token !== token) return;
    this.#token = undefined;
    this.#credential.forget?.();
  }

  async #request(fallback: AccessToken | undefined): Promise<string> {
    this.#askedAt = Date.now();
    try {
      const token = await this.#credential.getToken(this.#scope);
      if (token === null) throw new Error('the credential gave no token');
      this.#token = token;
      return token.token;
    } catch (error) {
      // Renewal begins minutes before the end: until then the old token serves.
      if (fallback !== undefined) return fallback.token;
      throw tokenError(error);
    }
  }
}

/** The error of a credential, without its `cause`: that may hold the request with the secret in it. */
function tokenError(error: unknown): Error {
  const { statusCode, message, code } = error as { statusCode?: number; message?: string; code?: string };
  const text = `Cannot get a token for Dataverse: ${shortMessage(String(message))}`;
  const details = { operation: 'get a token', object: 'identity' };
  const isBusy = statusCode !== undefined && (statusCode === 429 || statusCode >= 500);
  if (isBusy || /^E[A-Z]+$/.test(code ?? '')) {
    const hint = 'The token service does not answer: try again later.';
    return new RetriableError(text, { ...details, hint });
  }
  const hint =
    'Check tenant, client id and secret, or give the function app a managed identity. For local work log in with the Azure CLI.';
  return new ConfigurationError(text, { ...details, hint });
}

/**
 * Adds the bearer token, and once more with a new one when the server answers 401.
 * The library's own bearer policy refuses plain HTTP, which the loopback case needs; this one refuses
 * any other origin than the environment's instead.
 */
export function authPolicy(tokens: TokenSource, origin: string): PipelinePolicy {
  return {
    name: 'dataverseAuthPolicy',
    async sendRequest(request, next) {
      if (new URL(request.url).origin !== origin) {
        const text = 'A request to another origin was held back: the token stays here';
        throw new ConfigurationError(text, { operation: 'send a request', object: origin });
      }
      const token = await untilAborted(tokens.get(), request.abortSignal);
      request.headers.set('Authorization', `Bearer ${token}`);
      const response = await next(request);
      if (response.status !== 401) return response;
      response.readableStreamBody?.resume();
      tokens.reject(token);
      request.headers.set('Authorization', `Bearer ${await untilAborted(tokens.get(), request.abortSignal)}`);
      return next(request);
    },
  };
}

/** A token service that does not answer must not hold up the request beyond its time limit. */
function untilAborted<T>(work: Promise<T>, signal: PipelineRequest['abortSignal']): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new Error('no token within the time limit'));
    signal.addEventListener('abort', onAbort);
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

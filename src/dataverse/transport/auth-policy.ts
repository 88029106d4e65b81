import type { AccessToken, TokenCredential } from '@azure/core-auth';
import type { PipelinePolicy, PipelineRequest } from '@azure/core-rest-pipeline';
import { ConfigurationError } from '../../errors.ts';
import { rememberToken } from '../../safe-text.ts';
import { checkToken } from '../credential.ts';
import { shortMessage } from '../errors/error-response.ts';
import { DataverseRetriableError } from '../errors/errors.ts';

/** Remaining lifetime below which a token is renewed. Dataverse tokens live for 60 to 90 minutes. */
const refreshWindowMs = 5 * 60_000;

/** Minimum time between two renewals that return the same expiring token: each may start a process. */
const minRenewalMs = 30_000;

/** How often a request is tried whose token service is busy: some seconds in all. Credentials retry on their own as well. */
const triesOfToken = 3;

/** Caches the bearer token of one environment. It requests one token at a time and renews it before it expires. */
export class TokenSource {
  readonly #credential: TokenCredential & { forget?: () => void };
  readonly #scope: string;
  #token: AccessToken | undefined;
  #requestedAt = 0;
  #pending: Promise<string> | undefined;

  constructor(credential: TokenCredential, origin: string) {
    this.#credential = credential;
    this.#scope = `${origin}/.default`;
  }

  /** @throws ConfigurationError if the identity is rejected, RetriableError if the token service is down */
  async get(): Promise<string> {
    const token = this.#token;
    const now = Date.now();
    const leftMs = (token?.expiresOnTimestamp ?? 0) - now;
    const isFresh = leftMs > refreshWindowMs && (token?.refreshAfterTimestamp ?? Infinity) > now;
    const isValid = leftMs > 10_000;
    if (token && (isFresh || (isValid && now - this.#requestedAt < minRenewalMs))) return token.token;
    this.#pending ??= this.#request(isValid ? token : undefined).finally(() => {
      this.#pending = undefined;
    });
    try {
      return await this.#pending;
    } catch (error) {
      // One error for each request that waits: what happened to a request is noted in its error.
      throw error instanceof ConfigurationError ? error : tokenError(error);
    }
  }

  /** Discards a token that the server rejected, so that the next one is new. */
  reject(token: string): void {
    if (this.#token?.token !== token) return;
    this.#token = undefined;
    this.#credential.forget?.();
  }

  async #request(fallback: AccessToken | undefined): Promise<string> {
    this.#requestedAt = Date.now();
    try {
      const token = await this.#credential.getToken(this.#scope);
      if (token === null) throw new Error('the credential returned no token');
      checkToken(token.token);
      rememberToken(token.token);
      this.#token = token;
      return token.token;
    } catch (error) {
      // Renewal starts minutes before the token expires: use the old token until then.
      if (fallback !== undefined) return fallback.token;
      throw error;
    }
  }
}

/** The error of a credential, without its `cause`, which may contain the request and thus the secret. */
function tokenError(error: unknown): Error {
  const { statusCode, message, code } = error as { statusCode?: number; message?: string; code?: string };
  const text = `Cannot get a token for Dataverse: ${shortMessage(String(message))}`;
  const details = { operation: 'get a token', object: 'identity' };
  const isBusy = statusCode !== undefined && (statusCode === 429 || statusCode >= 500);
  if (isBusy || /^E[A-Z]+$/.test(code ?? '')) {
    const hint = 'The token service does not respond: try again later.';
    const fault = { operation: details.operation, transient: true, notSent: true, maxTries: triesOfToken };
    return new DataverseRetriableError(text, { ...details, hint, fault });
  }
  const hint =
    'Check tenant, client id and secret, or assign the function app a managed identity. For local work, sign in with the Azure CLI.';
  return new ConfigurationError(text, { ...details, hint });
}

/**
 * Adds the bearer token, and repeats the request once with a new token after a 401.
 * The library's own bearer policy rejects plain HTTP, which loopback hosts need; this one rejects every
 * origin except the environment's.
 */
export function authPolicy(tokens: TokenSource, origin: string): PipelinePolicy {
  return {
    name: 'dataverseAuthPolicy',
    async sendRequest(request, next) {
      if (new URL(request.url).origin !== origin) {
        const text = 'A request to another origin was not sent, because it would carry the token';
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

/** The token service did not respond within the time limit of the request, which was not sent. */
export class TokenTimeoutError extends Error {
  constructor() {
    super('no token within the time limit');
  }
}

/** Ends the wait for a token service that does not respond when the request reaches its time limit. */
function untilAborted<T>(work: Promise<T>, signal: PipelineRequest['abortSignal']): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new TokenTimeoutError());
    signal.addEventListener('abort', onAbort);
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** The library that sends keeps errors to itself. What is here sees them on their way. */
import type { TokenCredential } from '@azure/core-auth';
import { createDefaultHttpClient, type HttpClient } from '@azure/core-rest-pipeline';
import { rememberToken } from '../safe-text.ts';

/** Why a part of a batch was not accepted. */
export interface IngestionFault {
  /** The status of the response; absent if there was none. */
  status?: number;
  /** A code of the connection (`ECONNREFUSED`), or what failed before a request was sent (`no token`). */
  code?: string;
  /** Whether the same batch may be accepted later. */
  isRetriable: boolean;
}

/** What became of the last request. */
export type RequestOutcome = 'accepted' | IngestionFault;

/** For a token and for a request each: the library waits 30 s for both together, and must not give up first. */
const timeoutMs = 10_000;
/** Statuses with which the same request is refused for ever: it is not valid, too large, or for no resource. */
const finalStatuses = new Set([400, 404, 405, 413]);

/** @param note called with the outcome of each request */
export function watchedClient(note: (outcome: RequestOutcome) => void): HttpClient {
  const client = createDefaultHttpClient();
  return {
    async sendRequest(request) {
      request.timeout = timeoutMs;
      try {
        const response = await client.sendRequest(request);
        const { status } = response;
        // 206: some items of the request are not valid, or come too fast.
        const isRetriable = !finalStatuses.has(status) && status !== 206;
        if (status === 200) note('accepted');
        else if (status !== 307 && status !== 308) note({ status, isRetriable });
        return response;
      } catch (error) {
        const { code, name } = error as { code?: string; name?: string };
        note({ code: code ?? name ?? 'Error', isRetriable: true });
        throw error;
      }
    },
  };
}

/** @param note called if there is no token */
export function watchedCredential(
  credential: TokenCredential,
  note: (fault: IngestionFault) => void,
): TokenCredential {
  return {
    async getToken(scopes, details) {
      try {
        const token = await inTime(credential.getToken(scopes, details));
        rememberToken(token?.token);
        if (token === null) throw new Error('the credential returned no token');
        return token;
      } catch (error) {
        note({ code: 'no token', isRetriable: true });
        throw error;
      }
    },
  };
}

/** A managed identity without an endpoint is tried for longer, whatever the signal says. */
async function inTime<Result>(work: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('the credential returned no token in time')), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

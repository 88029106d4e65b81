import { checkToken } from '../dataverse/credential.ts';
import { ConfigurationError } from '../errors.ts';

/** Milliseconds to wait for an answer. */
const TIMEOUT = 15_000;

/**
 * Sends one request to Dataverse before anything else starts, so that a wrong address or an expired token is reported
 * at once. Any answer counts as reachable: without a token it is 401.
 *
 * @throws ConfigurationError if nothing answers, or Dataverse rejects the token
 */
export async function checkDataverse(origin: string, token: string | undefined): Promise<void> {
  const details = { operation: 'reach Dataverse', object: origin };
  const headers = new Headers({ accept: 'application/json' });
  if (token !== undefined) {
    checkToken(token.trim());
    headers.set('authorization', `Bearer ${token.trim()}`);
  }
  let status: number;
  try {
    const response = await fetch(`${origin}/api/data/v9.2/WhoAmI`, {
      headers,
      redirect: 'manual',
      signal: AbortSignal.timeout(TIMEOUT),
    });
    await response.body?.cancel();
    status = response.status;
  } catch (cause) {
    const { code, message } = ((cause as Error).cause ?? cause) as NodeJS.ErrnoException;
    throw new ConfigurationError(`Cannot reach Dataverse at ${origin} (${code ?? message})`, {
      ...details,
      hint: 'Check the address, and whether this machine can connect to it.',
      cause,
    });
  }
  if (token !== undefined && status === 401) {
    throw new ConfigurationError(`Dataverse at ${origin} rejected the access token`, {
      ...details,
      hint: 'Set DATAVERSE_ACCESS_TOKEN to a new token for this environment. Tokens expire after about an hour.',
    });
  }
}

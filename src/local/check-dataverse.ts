import { ConfigurationError } from '../errors.ts';

/** Milliseconds to wait for an answer before the address counts as unreachable. */
const PATIENCE = 15_000;

/**
 * Asks a Dataverse one question before anything starts, so that a wrong address or an old token is told at once.
 * Any answer will do, since nothing but the rows themselves is needed of the service: without `DATAVERSE_ACCESS_TOKEN` it is 401, which says that somebody is there.
 *
 * @throws ConfigurationError where nobody answers, or the token is refused.
 */
export async function checkDataverse(origin: string, token: string | undefined): Promise<void> {
  const operation = 'reach Dataverse';
  let status: number;
  try {
    const response = await fetch(`${origin}/api/data/v9.2/WhoAmI`, {
      headers: {
        accept: 'application/json',
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
      redirect: 'manual',
      signal: AbortSignal.timeout(PATIENCE),
    });
    await response.body?.cancel();
    status = response.status;
  } catch (cause) {
    const { code, message } = ((cause as Error).cause ?? cause) as NodeJS.ErrnoException;
    const reason = code ?? message;
    throw new ConfigurationError(`Dataverse at ${origin} cannot be reached (${reason})`, {
      operation,
      object: origin,
      hint: 'Check the address, and whether this machine may connect to it.',
      cause,
    });
  }
  if (token !== undefined && status === 401) {
    throw new ConfigurationError(`Dataverse at ${origin} refuses the token`, {
      operation,
      object: origin,
      hint: 'Put a new token for this environment in DATAVERSE_ACCESS_TOKEN; they last about an hour.',
    });
  }
}

import type { TokenCredential } from '@azure/core-auth';
import { RetriableError } from '../../../errors.ts';
import { rememberToken } from '../../../safe-text.ts';

/** learn.microsoft.com: Microsoft Entra authentication with Azure Database for PostgreSQL. */
const scope = 'https://ossrdbms-aad.database.windows.net/.default';

/**
 * The access token of an identity as the password of each new connection: the user is the name of the identity in the
 * database. A connection that is open stays so when its token expires.
 * @returns a function that throws RetriableError if there is no token
 */
export function entraPassword(credential: TokenCredential): () => Promise<string> {
  return async () => {
    const token = await credential.getToken(scope).catch((error: unknown) => {
      // Without its own cause, which may contain the request and thus a secret.
      throw noToken(error instanceof Error ? error.name : undefined);
    });
    if (token === null) throw noToken();
    rememberToken(token.token);
    return token.token;
  };
}

function noToken(cause?: string): RetriableError {
  return new RetriableError('There is no access token for PostgreSQL.', {
    operation: 'sign in to',
    object: 'PostgreSQL',
    hint: 'Check the managed identity of the app. For local work, sign in with the Azure CLI.',
    cause: cause && new Error(cause),
  });
}

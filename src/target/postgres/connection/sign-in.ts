import { isLocalServer, type PostgresAddress } from '../../../config/postgres/postgres-address.ts';
import type { PostgresSettings } from '../../../config/postgres/postgres-settings.ts';
import { createCredential } from '../../../dataverse/credential.ts';
import { rememberSecret } from '../../../safe-text.ts';
import type { PostgresOptions } from './connections.ts';
import { entraPassword } from './entra-password.ts';

/**
 * How to connect to the mirror. Without a password, the identity of the app gets an access token for each new connection; on
 * this machine the server decides whether it needs one.
 * @param address the one of the settings, or that of their reader
 */
export function connectionTo(
  address: PostgresAddress,
  { schema, clientId }: Pick<PostgresSettings, 'schema' | 'clientId'>,
): PostgresOptions {
  const { password, host } = address;
  rememberSecret(password);
  const isSignedIn = password !== undefined || isLocalServer(host);
  return {
    ...address,
    schema,
    password: isSignedIn ? password : entraPassword(createCredential({ clientId })),
  };
}

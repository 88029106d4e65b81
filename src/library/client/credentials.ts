import { createCredential as create } from '../../dataverse/credential.ts';
import { toPublicError } from './to-public-error.ts';

/** A token and when it ends. Structurally that of `@azure/core-auth`. */
export interface AccessToken {
  token: string;
  /** Milliseconds since 1970. */
  expiresOnTimestamp: number;
  refreshAfterTimestamp?: number;
}

/** Gets tokens. Every credential of `@azure/identity` is one. */
export interface TokenCredential {
  getToken(scopes: string | string[], options?: object): Promise<AccessToken | null>;
}

export interface CredentialOptions {
  /** A bearer token, for local work. All other options are ignored then. */
  accessToken?: string | undefined;
  tenantId?: string | undefined;
  /** Client id of the application, or of a user-assigned managed identity. */
  clientId?: string | undefined;
  clientSecret?: string | undefined;
  /** Path of a PEM file with certificate and private key. */
  certificatePath?: string | undefined;
  /** Path of a federated token, for workload identity. */
  federatedTokenFile?: string | undefined;
  /** Token service to use instead of `https://login.microsoftonline.com`. */
  authorityHost?: string | undefined;
}

/**
 * Creates a credential, in this order: the access token; a client secret, certificate or federated token; the managed
 * identity, in Azure; the login of the Azure CLI. All but the access token need the package `@azure/identity`, which is
 * loaded with the first token.
 * @throws UsageError if the tenant id or client id is missing
 */
export function createCredential(options: CredentialOptions = {}): TokenCredential {
  try {
    return create(options);
  } catch (error) {
    throw toPublicError(error);
  }
}

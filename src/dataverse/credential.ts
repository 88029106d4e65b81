import type { TokenCredential } from '@azure/core-auth';
import { ConfigurationError } from '../errors.ts';
import { rememberSecret } from '../safe-text.ts';

export interface CredentialOptions {
  /** A bearer token, for local work and tests. All other options are ignored then. */
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
  /** Do not ask Microsoft whether the authority host is genuine: for a private token service. */
  disableInstanceDiscovery?: boolean | undefined;
  /** Certificate authority (PEM) of a private token service. */
  ca?: string | undefined;
  /** Environment variables that tell whether a managed identity is available. @default process.env */
  environment?: Record<string, string | undefined>;
}

export type CredentialKind = ReturnType<typeof credentialKind>;

/**
 * Decides how this process signs in to Dataverse, in this order: the access token; a client secret,
 * certificate or federated token; the managed identity, in Azure; the login of the Azure CLI.
 */
export function credentialKind(options: CredentialOptions) {
  const environment = options.environment ?? process.env;
  if (options.accessToken) return 'access-token';
  if (options.clientSecret) return 'client-secret';
  if (options.certificatePath) return 'client-certificate';
  if (options.federatedTokenFile) return 'workload-identity';
  if (environment['IDENTITY_ENDPOINT'] || environment['MSI_ENDPOINT']) return 'managed-identity';
  return 'azure-cli';
}

/**
 * Creates the credential that `credentialKind` chooses. `forget` drops its token cache, so that the next
 * token is new although the old one has not expired.
 * @throws ConfigurationError if the kind needs a tenant id or client id that is missing
 * @example
 * const credential = createCredential({ tenantId, clientId, clientSecret });
 */
export function createCredential(options: CredentialOptions = {}): TokenCredential & { forget(): void } {
  const kind = credentialKind(options);
  rememberSecret(options.accessToken);
  rememberSecret(options.clientSecret);
  const isApplication = /^(client|workload)-/.test(kind);
  const missing = (['tenantId', 'clientId'] as const).find((name) => !options[name]);
  if (isApplication && missing !== undefined) {
    throw new ConfigurationError(`The ${kind} needs a ${missing}`, {
      operation: 'choose the Dataverse identity',
      object: missing,
      hint: `Set the ${missing} too, or remove the ${kind} to use the managed identity.`,
    });
  }
  if (kind === 'access-token') {
    const accessToken = options.accessToken!.trim();
    checkToken(accessToken);
    const token = { token: accessToken, expiresOnTimestamp: Number.MAX_SAFE_INTEGER };
    return { getToken: async () => token, forget: () => {} };
  }
  let identity: Promise<TokenCredential> | undefined;
  return {
    async getToken(scopes, details) {
      identity ??= createIdentity(kind, options);
      return (await identity).getToken(scopes, details);
    },
    forget() {
      identity = undefined;
    },
  };
}

/**
 * Checks that a token can be sent in a header. Otherwise HTTP libraries reject the header with a message that quotes it.
 * @throws ConfigurationError without any part of the token
 */
export function checkToken(token: string): void {
  if (/^[\x21-\x7e]+$/.test(token)) return;
  const what =
    token === '' ? 'is empty' : 'contains a line break, a space or another character that no token has';
  throw new ConfigurationError(`The access token for Dataverse ${what}.`, {
    operation: 'choose the Dataverse identity',
    object: 'DATAVERSE_ACCESS_TOKEN',
    hint: 'Copy the token again, in one line and without quotes: a terminal may have wrapped it.',
  });
}

function withoutPackage(kind: CredentialKind, cause: unknown): unknown {
  if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') return cause;
  return new ConfigurationError(`Signing in with ${kind} needs the package @azure/identity.`, {
    operation: 'choose the Dataverse identity',
    object: '@azure/identity',
    hint: 'Run npm install @azure/identity, or pass an access token or a credential of your own.',
  });
}

/** Loads `@azure/identity` only when a token is needed: it is large, and an access token does not need it. */
async function createIdentity(kind: CredentialKind, options: CredentialOptions): Promise<TokenCredential> {
  // With a handler, bundlers accept that the package is missing: the client library does not install it.
  const identity = await import('@azure/identity').catch((error: unknown) => {
    throw withoutPackage(kind, error);
  });
  const { tenantId = '', clientId = '', authorityHost, disableInstanceDiscovery, ca } = options;
  const common = { authorityHost, disableInstanceDiscovery, tlsOptions: ca ? { ca } : undefined };
  switch (kind) {
    case 'client-secret':
      return new identity.ClientSecretCredential(tenantId, clientId, options.clientSecret!, common);
    case 'client-certificate':
      return new identity.ClientCertificateCredential(tenantId, clientId, options.certificatePath!, common);
    case 'workload-identity': {
      const tokenFilePath = options.federatedTokenFile!;
      return new identity.WorkloadIdentityCredential({ ...common, tenantId, clientId, tokenFilePath });
    }
    case 'managed-identity':
      return new identity.ManagedIdentityCredential({ clientId: clientId || undefined });
    default:
      return new identity.AzureCliCredential({ tenantId });
  }
}

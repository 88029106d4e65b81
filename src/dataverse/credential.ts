import type { TokenCredential } from '@azure/core-auth';
import { ConfigurationError } from '../errors.ts';

export interface CredentialOptions {
  /** A ready bearer token, for local work and tests. Nothing else is looked at then. */
  accessToken?: string | undefined;
  tenantId?: string | undefined;
  clientId?: string | undefined;
  clientSecret?: string | undefined;
  /** Path of a PEM file with certificate and private key. */
  certificatePath?: string | undefined;
  /** The client id of a user-assigned managed identity. */
  managedIdentityClientId?: string | undefined;
  /** Path of a federated token (workload identity). */
  federatedTokenFile?: string | undefined;
  /** Another token service than login.microsoftonline.com. */
  authorityHost?: string | undefined;
  /** Do not ask Microsoft whether the authority host is genuine: for a token service of one's own. */
  disableInstanceDiscovery?: boolean | undefined;
  /** Certificate authority (PEM) of that token service. */
  ca?: string | undefined;
  /** Environment variables, to see whether a managed identity is at hand. @default process.env */
  environment?: Record<string, string | undefined>;
}

/** Which of the ways to an identity the options lead to. */
export type CredentialKind = ReturnType<typeof credentialKind>;

/**
 * The one place that decides who this process is to Dataverse.
 * In order: a ready token; secret, certificate or workload identity where they are set; the managed
 * identity in Azure; the Azure CLI's login elsewhere.
 */
export function credentialKind(options: CredentialOptions) {
  const environment = options.environment ?? process.env;
  if (options.accessToken) return 'access-token';
  if (options.clientSecret) return 'client-secret';
  if (options.certificatePath) return 'client-certificate';
  if (options.federatedTokenFile) return 'workload-identity';
  if (options.managedIdentityClientId) return 'managed-identity';
  if (environment['IDENTITY_ENDPOINT'] || environment['MSI_ENDPOINT']) return 'managed-identity';
  return 'azure-cli';
}

/**
 * The credential of the kind that the options lead to. `forget` drops the token cache within, so that
 * the next token is a new one even though the old has not expired.
 * @throws ConfigurationError where tenant or client id are missing for that kind
 */
export function createCredential(options: CredentialOptions = {}): TokenCredential & { forget(): void } {
  const kind = credentialKind(options);
  const isApplication = /^(client|workload)-/.test(kind);
  const missing = (['tenantId', 'clientId'] as const).find((name) => !options[name]);
  if (isApplication && missing !== undefined) {
    throw new ConfigurationError(`The ${kind} needs a ${missing}`, {
      operation: 'choose the Dataverse identity',
      object: missing,
      hint: `Set the ${missing} beside it, or remove the ${kind} to use the managed identity.`,
    });
  }
  if (kind === 'access-token') {
    const token = { token: options.accessToken!, expiresOnTimestamp: Number.MAX_SAFE_INTEGER };
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

/** Loads `@azure/identity` when a token is first needed: it is large, and a ready token does without it. */
async function createIdentity(kind: CredentialKind, options: CredentialOptions): Promise<TokenCredential> {
  const identity = await import('@azure/identity');
  const { tenantId = '', clientId = '' } = options;
  const common = {
    ...(options.authorityHost && { authorityHost: options.authorityHost }),
    ...(options.disableInstanceDiscovery && { disableInstanceDiscovery: true }),
    ...(options.ca && { tlsOptions: { ca: options.ca } }),
  };
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
      return new identity.ManagedIdentityCredential(
        options.managedIdentityClientId ? { clientId: options.managedIdentityClientId } : {},
      );
    default:
      return new identity.AzureCliCredential(tenantId ? { tenantId } : {});
  }
}

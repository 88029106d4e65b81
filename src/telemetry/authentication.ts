import type { TokenCredential } from '@azure/core-auth';

/** How telemetry is signed, as the Functions host reads it. */
export interface TelemetryIdentity {
  /** Of a user-assigned managed identity; absent for the system-assigned one. */
  clientId?: string | undefined;
}

/**
 * Reads `APPLICATIONINSIGHTS_AUTHENTICATION_STRING`: `Authorization=AAD`, with `;ClientId=…` for a user-assigned identity
 * (learn.microsoft.com: App settings reference for Azure Functions). Names and `AAD` in any case, in any order.
 * @returns undefined if telemetry is not signed: the text is empty, or names another way
 */
export function telemetryIdentity(text: string | undefined): TelemetryIdentity | undefined {
  const parts = (text ?? '').split(';').map((part) => {
    const [name = '', ...value] = part.split('=');
    return [name.trim().toLowerCase(), value.join('=').trim()] as const;
  });
  const values = new Map(parts);
  if (values.get('authorization')?.toLowerCase() !== 'aad') return undefined;
  return { clientId: values.get('clientid') || undefined };
}

/** The credential of the identity. Loads `@azure/identity` with the first token. */
export function telemetryCredential({ clientId }: TelemetryIdentity): TokenCredential {
  let credential: Promise<TokenCredential> | undefined;
  return {
    async getToken(scopes, options) {
      credential ??= import('@azure/identity').then(
        ({ ManagedIdentityCredential }) => new ManagedIdentityCredential({ clientId }),
      );
      return (await credential).getToken(scopes, options);
    },
  };
}

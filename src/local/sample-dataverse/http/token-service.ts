import type { SampleDataverseOptions } from '../options.ts';
import { json } from './responses.ts';
import type { ServiceRequest, ServiceResponse } from './service-request.ts';

/** The client that gets tokens from the sample unless the options name another. */
export const sampleClient = { id: '5a3b1e0f-0000-4000-a000-00000000c11e', secret: 'sample-secret' };

const defaultLifetimeSeconds = 3600;

/**
 * The token service of the sample: the discovery documents and the client credentials grant of the Microsoft
 * identity platform, as far as `ClientSecretCredential` uses them
 * (learn.microsoft.com: OAuth 2.0 client credentials flow).
 */
export class TokenService {
  readonly #options: SampleDataverseOptions;
  readonly #now: () => number;
  readonly #expiries = new Map<string, number>();
  /** Number of tokens issued so far. */
  issued = 0;

  constructor(options: SampleDataverseOptions, now: () => number) {
    this.#options = options;
    this.#now = now;
  }

  /** Whether this service issued the token and it has not expired. */
  accepts(token: string): boolean {
    return (this.#expiries.get(token) ?? 0) > this.#now();
  }

  /** Revokes all tokens. */
  revoke(): void {
    this.#expiries.clear();
  }

  /** Answers a request to the token service. Undefined for a request to the Web API. */
  answer(request: ServiceRequest): ServiceResponse | undefined {
    if (request.path === '/common/discovery/instance') return this.#instance(request);
    const [, tenant, rest] =
      /^\/([^/]+)\/(v2\.0\/\.well-known\/openid-configuration|oauth2\/v2\.0\/token)$/.exec(request.path) ??
      [];
    if (tenant === undefined || rest === undefined) return undefined;
    return rest.startsWith('v2.0') ? this.#configuration(request, tenant) : this.#token(request);
  }

  #instance(request: ServiceRequest): ServiceResponse {
    const host = request.origin.replace(/^https?:\/\//, '');
    return json({
      tenant_discovery_endpoint: `${request.origin}/common/v2.0/.well-known/openid-configuration`,
      'api-version': '1.1',
      metadata: [{ preferred_network: host, preferred_cache: host, aliases: [host] }],
    });
  }

  #configuration(request: ServiceRequest, tenant: string): ServiceResponse {
    const base = `${request.origin}/${tenant}`;
    return json({
      token_endpoint: `${base}/oauth2/v2.0/token`,
      authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
      device_authorization_endpoint: `${base}/oauth2/v2.0/devicecode`,
      end_session_endpoint: `${base}/oauth2/v2.0/logout`,
      jwks_uri: `${base}/discovery/v2.0/keys`,
      issuer: `${base}/v2.0`,
      token_endpoint_auth_methods_supported: ['client_secret_post'],
      response_types_supported: ['code', 'token'],
      subject_types_supported: ['pairwise'],
      id_token_signing_alg_values_supported: ['RS256'],
      scopes_supported: ['openid'],
    });
  }

  #token(request: ServiceRequest): ServiceResponse {
    const form = new URLSearchParams(request.body.toString('utf8'));
    const { id, secret } = { ...sampleClient, ...this.#options.client };
    if (form.get('grant_type') !== 'client_credentials') {
      return tokenError(
        400,
        'unsupported_grant_type',
        'AADSTS70003: The app requested an unsupported grant type.',
      );
    }
    if (form.get('client_id') !== id) {
      return tokenError(
        400,
        'unauthorized_client',
        'AADSTS700016: Application was not found in the directory.',
      );
    }
    if (form.get('client_secret') !== secret) {
      return tokenError(401, 'invalid_client', 'AADSTS7000215: Invalid client secret provided.');
    }
    const scopes = (form.get('scope') ?? '').split(' ');
    if (!scopes.includes(`${request.origin}/.default`)) {
      return tokenError(
        400,
        'invalid_resource',
        'AADSTS500011: The resource principal was not found in the tenant.',
      );
    }
    const lifetime = this.#options.tokenLifetimeSeconds ?? defaultLifetimeSeconds;
    const token = `sample.${crypto.randomUUID()}.${crypto.randomUUID()}`;
    this.#expiries.set(token, this.#now() + lifetime * 1000);
    this.issued++;
    return json({
      token_type: 'Bearer',
      expires_in: lifetime,
      ext_expires_in: lifetime,
      access_token: token,
    });
  }
}

function tokenError(status: number, error: string, description: string): ServiceResponse {
  return json(
    { error, error_description: description, error_codes: [], correlation_id: crypto.randomUUID() },
    status,
  );
}

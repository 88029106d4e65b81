import { Fragment } from './fragment.ts';
import type { SampleDataverseOptions } from './options.ts';
import type { ServiceRequest, ServiceResponse } from './service.ts';

/** The tenant that the sample says it belongs to. */
export const tenant = '0a1b2c3d-0000-4000-a000-5a3b1e0f0001';

/** A refusal where the request carries no valid token: 401 without a JSON body, as the gateway sends it. */
export function authorize(
  options: SampleDataverseOptions,
  request: ServiceRequest,
): ServiceResponse | undefined {
  const token = /^Bearer (.+)$/i.exec(request.headers['authorization'] ?? '')?.[1];
  if (token !== undefined && (options.token === undefined || token === options.token)) return undefined;
  return {
    status: 401,
    headers: {
      'content-type': 'text/html',
      'www-authenticate': `Bearer authorization_uri=https://login.microsoftonline.com/${tenant}/oauth2/authorize, resource_id=${request.origin}/`,
    },
    body: [new Fragment('<html><body>HTTP Error 401 - Unauthorized: Access is denied</body></html>')],
  };
}

import type { SampleDataverseOptions } from '../options.ts';
import { html } from './responses.ts';
import type { ServiceRequest, ServiceResponse } from './service-request.ts';
import type { TokenService } from './token-service.ts';

/** The id of the sample's tenant. */
export const tenant = '0a1b2c3d-0000-4000-a000-5a3b1e0f0001';

/** Whether the request has a token that the options accept: any, a certain one, or one that the sample issued. */
export function isAuthorized(
  options: SampleDataverseOptions,
  tokens: TokenService,
  request: ServiceRequest,
): boolean {
  const token = /^Bearer (.+)$/i.exec(request.headers['authorization'] ?? '')?.[1];
  if (token === undefined) return false;
  if (options.issuedTokensOnly) return tokens.accepts(token);
  return options.token === undefined || token === options.token;
}

/** A 401 as the gateway sends it: without a JSON body. */
export function unauthorized(request: ServiceRequest): ServiceResponse {
  const answer = html(401, '<html><body>HTTP Error 401 - Unauthorized: Access is denied</body></html>');
  const authority = `authorization_uri=https://login.microsoftonline.com/${tenant}/oauth2/authorize`;
  answer.headers['www-authenticate'] = `Bearer ${authority}, resource_id=${request.origin}/`;
  return answer;
}

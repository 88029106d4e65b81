import {
  createDefaultHttpClient,
  createEmptyPipeline,
  createHttpHeaders,
  createPipelineRequest,
  proxyPolicy,
} from '@azure/core-rest-pipeline';
import { checkToken } from '../dataverse/credential.ts';
import { ConfigurationError } from '../errors.ts';

/** Milliseconds to wait for an answer. */
const TIMEOUT = 15_000;

/** What a proxy answers by itself (RFC 9110): it requires a password, or cannot connect. */
const gatewayStatuses = new Set([407, 502, 504]);

/**
 * Sends one request to Dataverse before anything else starts, so that a wrong address or an expired token is reported
 * at once. Any answer counts as reachable: without a token it is 401.
 *
 * @throws ConfigurationError if nothing answers, or Dataverse rejects the token
 */
export async function checkDataverse(origin: string, token: string | undefined): Promise<void> {
  const details = { operation: 'reach Dataverse', object: origin };
  const request = createPipelineRequest({
    url: `${origin}/api/data/v9.2/WhoAmI`,
    headers: createHttpHeaders({ accept: 'application/json' }),
    allowInsecureConnection: true,
    timeout: TIMEOUT,
  });
  if (token !== undefined) {
    checkToken(token.trim());
    request.headers.set('authorization', `Bearer ${token.trim()}`);
  }
  // Through the proxy of the environment, as the app itself connects. Without a policy for redirects.
  const pipeline = createEmptyPipeline();
  pipeline.addPolicy(proxyPolicy());
  let status: number;
  try {
    status = (await pipeline.sendRequest(createDefaultHttpClient(), request)).status;
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new ConfigurationError(`Cannot reach Dataverse at ${origin} (${code ?? message})`, {
      ...details,
      hint: 'Check the address, and whether this machine can connect to it.',
      cause,
    });
  }
  if (gatewayStatuses.has(status)) {
    throw new ConfigurationError(`Cannot reach Dataverse at ${origin} (status ${status})`, {
      ...details,
      hint: 'A proxy or gateway answered in its place. Check the address and the variables HTTPS_PROXY and NO_PROXY.',
    });
  }
  if (token !== undefined && status === 401) {
    throw new ConfigurationError(`Dataverse at ${origin} rejected the access token`, {
      ...details,
      hint: 'Set DATAVERSE_ACCESS_TOKEN to a new token for this environment. Tokens expire after about an hour.',
    });
  }
}

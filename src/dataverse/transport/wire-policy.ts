import type { PipelinePolicy } from '@azure/core-rest-pipeline';

/**
 * Sends a request exactly as given; the last policy before the network.
 * - The URL is sent unchanged. The library parses URLs, which rewrites quotes in links that the service made.
 * - The library does not see that gzip is requested. Its decompression pipes one stream into another without
 *   forwarding errors, so a connection reset in mid-body would hang forever.
 */
export const wirePolicy: PipelinePolicy = {
  name: 'dataverseWirePolicy',
  async sendRequest(request, next) {
    const headers = { ...request.headers.toJSON({ preserveCase: true }), 'Accept-Encoding': 'gzip' };
    const overrides: Record<string, unknown> = { headers };
    const path = /^https?:\/\/[^/?#]*(\/[^#]*)/i.exec(request.url)?.[1];
    if (path !== undefined && /^[\x21-\x7e]+$/.test(path)) overrides['path'] = path;
    request.requestOverrides = overrides;
    try {
      return await next(request);
    } finally {
      delete request.requestOverrides;
    }
  },
};

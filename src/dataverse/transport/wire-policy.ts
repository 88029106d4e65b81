import type { PipelinePolicy } from '@azure/core-rest-pipeline';

/**
 * Sends a request exactly as it stands, next to the wire.
 * - The URL goes out character for character: the library parses it, and that rewrites quotes in a
 *   link that the service made.
 * - Compression is asked for out of the library's sight. Its own decompression pipes one stream into
 *   another without passing on errors, so that a connection cut in mid-body would hang for ever.
 */
export const wirePolicy: PipelinePolicy = {
  name: 'dataverseWirePolicy',
  async sendRequest(request, next) {
    const path = /^https?:\/\/[^/?#]*(\/[^#]*)/i.exec(request.url)?.[1];
    request.requestOverrides = {
      headers: { ...request.headers.toJSON({ preserveCase: true }), 'Accept-Encoding': 'gzip' },
      ...(path !== undefined && /^[\x21-\x7e]+$/.test(path) ? { path } : {}),
    };
    try {
      return await next(request);
    } finally {
      delete request.requestOverrides;
    }
  },
};

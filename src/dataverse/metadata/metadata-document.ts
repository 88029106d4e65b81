import { dataverseFault } from '../errors/errors.ts';
import { queryPath } from '../read/query.ts';
import { toPage } from '../read/read-pages.ts';
import type { Call, CallOptions } from '../transport/call.ts';
import { type Reply, unreadable } from '../transport/reply.ts';
import type { Transport } from '../transport/transport.ts';

export interface MetadataDocument {
  /** The CSDL document, in UTF-8. */
  document: Buffer;
  /** Pass it to the next read, if the service returned one. */
  etag?: string;
}

/**
 * Reads `$metadata` with annotations, which mark change tracking and alternate keys, or without them if the
 * service rejects them. With an `etag`, the service may respond that nothing has changed.
 */
export async function readMetadataDocument(
  transport: Transport,
  options: CallOptions & { etag?: string | undefined } = {},
): Promise<MetadataDocument | 'unchanged'> {
  const { etag } = options;
  const call: Call = {
    ...options,
    operation: 'read the metadata document',
    entitySet: '$metadata',
    url: '$metadata?annotations=true',
    headers: { Accept: 'application/xml', 'If-None-Match': etag },
    accepts: (status) => status === 304,
    // A document shows by itself whether it is CSDL, also where a gateway removed the headers of OData.
    isFile: true,
    // The service may need minutes to generate many megabytes.
    timeoutSeconds: 600,
  };
  try {
    return await transport.send(call, toDocument);
  } catch (error) {
    const status = dataverseFault(error)?.status;
    if (status !== 400 && status !== 404 && status !== 501) throw error;
    return transport.send({ ...call, url: '$metadata' }, toDocument);
  }
}

function toDocument(reply: Reply): MetadataDocument | 'unchanged' {
  if (reply.status === 304) return 'unchanged';
  const { body } = reply;
  // A proxy may cut a document short and adjust its length. It must not be mistaken for a smaller schema.
  const head = body.toString('utf8', 0, Math.min(body.length, 2000));
  if (!/<(\w+:)?Edmx\b/.test(head)) throw unreadable(reply, 'it is not a CSDL document');
  const tail = body.toString('utf8', Math.max(0, body.length - 200));
  if (!/<\/(\w+:)?Edmx>\s*$/.test(tail))
    throw unreadable(reply, `it is cut short after ${body.length} bytes`);
  return { document: body, etag: reply.headers.get('etag') };
}

/**
 * Reads the version of the environment's metadata together with one row. It changes with every change of the
 * schema. Undefined if the service does not return it.
 */
export function readMetadataVersion(
  transport: Transport,
  entitySet: string,
  primaryKey: string,
  options: CallOptions = {},
): Promise<string | undefined> {
  const operation = `read the metadata version with a row of ${entitySet}`;
  const url = queryPath(entitySet, { select: [primaryKey], top: 1 });
  const headers = { Prefer: 'odata.include-annotations="Microsoft.Dynamics.CRM.globalmetadataversion"' };
  return transport.send(
    { ...options, operation, entitySet, url, headers },
    (reply) => toPage(reply, entitySet).metadataVersion,
  );
}

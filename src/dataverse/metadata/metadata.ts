import { dataverseFault } from '../errors/errors.ts';
import { codes } from '../errors/fault-codes.ts';
import { queryPath } from '../read/query.ts';
import { toPage } from '../read/read-pages.ts';
import {
  type Call,
  type CallOptions,
  type Reply,
  type Transport,
  unreadable,
} from '../transport/transport.ts';

export interface MetadataDocument {
  /** The CSDL document, UTF-8. */
  document: Buffer;
  /** For the next reading's `etag`, where the service gives one. */
  etag?: string;
}

/**
 * Reads `$metadata` with annotations, which mark change tracking and alternate keys, and without them
 * where they are refused. With an `etag` the service may answer that nothing changed.
 */
export async function readMetadataDocument(
  transport: Transport,
  options: CallOptions & { etag?: string | undefined } = {},
): Promise<MetadataDocument | 'unchanged'> {
  const { etag } = options;
  const call: Call = {
    ...options,
    operation: 'read the metadata document',
    entity: '$metadata',
    url: '$metadata?annotations=true',
    headers: { Accept: 'application/xml', ...(etag && { 'If-None-Match': etag }) },
    accepts: (status) => status === 304,
    // Many megabytes may take the service long to make.
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
  // A document cut short by a proxy with a length of its own must not pass for a smaller schema.
  const head = body.toString('utf8', 0, Math.min(body.length, 2000));
  if (!/<(\w+:)?Edmx\b/.test(head)) throw unreadable(reply, 'it is no CSDL document');
  const tail = body.toString('utf8', Math.max(0, body.length - 200));
  if (!/<\/(\w+:)?Edmx>\s*$/.test(tail))
    throw unreadable(reply, `it is cut short after ${body.length} bytes`);
  const etag = reply.headers.get('etag');
  return { document: body, ...(etag && { etag }) };
}

/**
 * The version of the environment's metadata, for the price of one row: it changes with every change of
 * the schema. Undefined where the service does not tell.
 */
export function readMetadataVersion(
  transport: Transport,
  entitySet: string,
  primaryKey: string,
  options: CallOptions = {},
): Promise<string | undefined> {
  const named = { operation: `read the metadata version with a row of ${entitySet}`, entity: entitySet };
  const url = queryPath(entitySet, { select: [primaryKey], top: 1 });
  const headers = { Prefer: 'odata.include-annotations="Microsoft.Dynamics.CRM.globalmetadataversion"' };
  return transport.send({ ...options, ...named, url, headers }, (reply) => toPage(reply).metadataVersion);
}

/** Dataverse counts no further (learn.microsoft.com: "Count rows using Web API"). */
const countLimit = 5000;

/** The number of rows of a small table; undefined from 5,000 on, where Dataverse stops counting. */
export async function count(
  transport: Transport,
  entitySet: string,
  options: CallOptions = {},
): Promise<number | undefined> {
  const named = { operation: `count ${entitySet}`, entity: entitySet };
  const url = `${queryPath(entitySet)}/$count`;
  const headers = { Accept: 'text/plain' };
  try {
    return await transport.send({ ...options, ...named, url, headers }, (reply) => {
      const rows = /^\uFEFF?\s*(\d{1,15})\s*$/.exec(reply.body.toString('utf8', 0, 40))?.[1];
      if (rows === undefined) throw unreadable(reply, 'it is no number');
      return Number(rows) >= countLimit ? undefined : Number(rows);
    });
  } catch (error) {
    // Some tables do not count: that is no fault, the caller only wants to know.
    if (dataverseFault(error)?.code === codes.queryRefused) return undefined;
    throw error;
  }
}

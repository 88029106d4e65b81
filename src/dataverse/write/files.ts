import { DataverseError, dataverseFault, isMissingRow } from '../errors/errors.ts';
import { codes } from '../errors/fault-codes.ts';
import { checkName, type RowReference, rowPath } from '../read/query.ts';
import type { Call, CallOptions } from '../transport/call.ts';
import { LinkGuard } from '../transport/link-guard.ts';
import { type Reply, unreadable } from '../transport/reply.ts';
import type { Transport } from '../transport/transport.ts';

/** A file or image column of one row. learn.microsoft.com: "Use file column data". */
export interface FileReference extends RowReference {
  column: string;
}

export interface FileOptions extends CallOptions {
  /** Called after each chunk with the bytes transferred so far and in total. */
  onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
  /** Bytes per request. For uploads, Dataverse proposes a size. @default 4 MiB */
  chunkBytes?: number | undefined;
}

const defaultChunkBytes = 4 * 1024 * 1024;

function fileCall(file: FileReference, what: string, options: FileOptions): Call {
  return {
    ...options,
    operation: `${what} ${file.column} of a row of ${file.entitySet}`,
    entitySet: file.entitySet,
    url: `${rowPath(file.entitySet, file.id)}/${checkName(file.column, 'column name')}`,
    idempotent: true,
    isFile: true,
  };
}

/**
 * Uploads a file in chunks. A chunk without a response is sent again; the file appears with the last chunk.
 * An empty file takes one request, because a range cannot be empty.
 * @example
 * const file = { entitySet: 'accounts', id, column: 'new_contract' };
 * await client.uploadFile(file, 'contract.pdf', bytes);
 */
export async function uploadFile(
  transport: Transport,
  file: FileReference,
  fileName: string,
  data: Uint8Array,
  options: FileOptions = {},
): Promise<void> {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const call = { ...fileCall(file, 'upload', options), method: 'PATCH' as const };
  const name = encodeURIComponent(fileName.toWellFormed());
  const binary = { 'Content-Type': 'application/octet-stream', 'x-ms-file-name': name };
  if (bytes.length === 0) return transport.send({ ...call, headers: binary, body: bytes }, () => {});
  const url = `${call.url}?x-ms-file-name=${name}`;
  const begin = { ...call, url, headers: { 'x-ms-transfer-mode': 'chunked' } };
  const session = await transport.send(begin, (reply) => {
    const location = reply.headers.get('location');
    if (location === undefined) throw unreadable(reply, 'it does not contain a location for the chunks');
    const chunks = new LinkGuard(transport.origin, file.entitySet).follow(location, reply.url, 1);
    return { chunks, chunkBytes: Number(reply.headers.get('x-ms-chunk-size')) };
  });
  const size = options.chunkBytes ?? (session.chunkBytes > 0 ? session.chunkBytes : defaultChunkBytes);
  for (let start = 0; start < bytes.length; start += size) {
    const end = Math.min(start + size, bytes.length);
    const headers = { ...binary, 'Content-Range': `bytes ${start}-${end - 1}/${bytes.length}` };
    const body = bytes.subarray(start, end);
    await transport.send({ ...call, url: session.chunks, headers, body }, () => {});
    options.onProgress?.(end, bytes.length);
  }
}

export interface DownloadOptions extends FileOptions {
  /** For an image column: the image itself instead of its thumbnail. */
  fullSize?: boolean | undefined;
  /** The first byte. @default 0 */
  from?: number | undefined;
  /** Yields an empty chunk for an empty file, to tell it from an empty column. @default false */
  yieldsEmpty?: boolean | undefined;
}

/**
 * Downloads a file chunk by chunk. An empty column yields nothing.
 * @throws DataverseError if a file of another name or size replaces it during the download. Dataverse names no version of a
 *   file: one of the same name and size is not noticed, so that the chunks may be of both
 * @example
 * const chunks = client.downloadFile({ entitySet: 'accounts', id, column: 'new_contract' });
 * await writeFile('contract.pdf', chunks);
 */
export async function* downloadFile(
  transport: Transport,
  file: FileReference,
  options: DownloadOptions = {},
): AsyncGenerator<Buffer> {
  const size = options.chunkBytes ?? defaultChunkBytes;
  const call = fileCall(file, 'download', options);
  const url = `${call.url}/$value${options.fullSize ? '?size=full' : ''}`;
  const from = options.from ?? 0;
  const fail = (what: string) =>
    new DataverseError(`Cannot ${call.operation}: ${what}`, {
      hint: 'Download it again from the start.',
      fault: { operation: call.operation, entitySet: call.entitySet, transient: true },
    });
  let name: string | undefined;
  for (let start = from, total = from + 1; start < total; ) {
    const headers = { Range: `bytes=${start}-${start + size - 1}`, Accept: '*/*' };
    const read = (reply: Reply) => readChunk(reply, start);
    const accepts = (status: number) => status === 416;
    const chunk = await transport.send({ ...call, url, headers, accepts }, read).catch((error) => {
      if (start === from && isEmptyColumn(error)) return undefined;
      throw error;
    });
    if (chunk === undefined && start === from) return;
    if (chunk === undefined) throw fail('the file was deleted in the meantime');
    if (chunk.total < start) throw fail(`it has ${chunk.total} bytes, not ${start} or more`);
    if (start > from && (chunk.total !== total || chunk.name !== name)) {
      throw fail('the file was replaced in the meantime');
    }
    if (chunk.body.length === 0 && start < chunk.total) throw fail('a part of it has no bytes');
    ({ total, name } = chunk);
    start += chunk.body.length;
    if (chunk.body.length === 0 && !options.yieldsEmpty) return;
    yield chunk.body;
    options.onProgress?.(start, total);
    if (chunk.body.length === 0) return;
  }
}

interface Chunk {
  body: Buffer;
  /** The size of the file, if the response contains it. */
  total: number;
  name: string | undefined;
}

/** The bytes from `start` on; undefined if there is no file. */
function readChunk(reply: Reply, start: number): Chunk | undefined {
  const { body, headers, status } = reply;
  if (status === 204) return undefined;
  const name = headers.get('x-ms-file-name');
  // The range starts behind the last byte: the file is empty, or a download that goes on was complete.
  if (status === 416) {
    const size = /^bytes \*\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1];
    const total = Number(size ?? headers.get('x-ms-file-size') ?? start);
    return { body: Buffer.alloc(0), total, name };
  }
  const range = /^bytes (\d+)-\d+\/(\d+)$/.exec(headers.get('content-range') ?? '');
  if (start > 0 && (status !== 206 || (range !== null && Number(range[1]) !== start))) {
    throw unreadable(reply, 'it is not the requested range');
  }
  const known = Number(range?.[2] ?? headers.get('x-ms-file-size') ?? body.length);
  return { body, total: status === 206 ? known : start + body.length, name };
}

/** Deletes the file in a column. An empty column is not an error. */
export async function deleteFile(
  transport: Transport,
  file: FileReference,
  options: CallOptions = {},
): Promise<void> {
  const call: Call = { ...fileCall(file, 'delete', options), method: 'DELETE' };
  await transport
    .send(call, () => {})
    .catch((error) => {
      if (!isEmptyColumn(error)) throw error;
    });
}

/** Whether the row exists and its column is empty: a 404 without the code of a missing row or table. */
function isEmptyColumn(error: unknown): boolean {
  const fault = dataverseFault(error);
  // The code alone can be that of a missing row.
  if (fault?.status === 404 && /no file attachment found/i.test(fault.serverMessage ?? '')) return true;
  return fault?.status === 404 && fault.code !== codes.resourceNotFound && !isMissingRow(error);
}

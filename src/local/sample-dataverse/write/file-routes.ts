import { Fragment } from '../http/fragment.ts';
import { json, noContent } from '../http/responses.ts';
import { badRequest, ServiceError } from '../http/service-error.ts';
import { apiRoot, type ServiceRequest, type ServiceResponse } from '../http/service-request.ts';
import { columnIndex, type Table } from '../metadata/model.ts';
import { queryPairs } from '../query/options/query-options.ts';
import { findRow } from '../query/row-key.ts';
import type { RowValues, Store } from '../rows/store.ts';
import type { Row } from '../rows/values.ts';
import { type Payload, parsePayload } from './payload.ts';

const chunkSize = 4_194_304;

export interface StoredFile {
  name: string;
  data: Buffer;
  mimeType?: string | undefined;
}

interface Upload {
  name: string;
  place: Place;
  chunks: Buffer[];
  received: number;
}

interface BlockUpload {
  place: Place;
  name: string;
  blocks: Map<string, Buffer>;
}

interface Place {
  table: Table;
  row: Row;
  column: string;
}

/**
 * Contents of file and image columns: upload in one request or in chunks, download whole or by range, delete
 * (learn.microsoft.com: Use file column data).
 */
export class FileRoutes {
  readonly #store: Store;
  readonly #files = new Map<string, StoredFile>();
  readonly #uploads = new Map<string, Upload>();
  readonly #blocks = new Map<string, BlockUpload>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Answers a request for the content of a file or image column. Undefined for other columns. */
  answer(
    request: ServiceRequest,
    table: Table,
    key: string,
    segments: readonly string[],
  ): ServiceResponse | undefined {
    const [column = '', rest] = segments;
    const definition = table.columns[columnIndex(table, column)];
    if (definition === undefined || !(definition.file || definition.type === 'Edm.Binary')) return undefined;
    const place: Place = { table, row: findRow(this.#store, table, key), column };
    if (request.method === 'GET' && rest === '$value') return this.#download(request, place);
    if (rest !== undefined) return undefined;
    if (request.method === 'DELETE') return this.#put(place, undefined);
    if (request.method === 'PATCH' || request.method === 'PUT') return this.#upload(request, place);
    return undefined;
  }

  /**
   * Answers the messages that upload a file in blocks: `InitializeFileBlocksUpload`, `UploadBlock` and
   * `CommitFileBlocksUpload`. Undefined for other paths.
   */
  answerMessage(request: ServiceRequest, name: string): ServiceResponse | undefined {
    if (request.method !== 'POST') return undefined;
    switch (name) {
      case 'InitializeFileBlocksUpload':
        return this.#initialize(parsePayload(request.body));
      case 'UploadBlock':
        return this.#block(parsePayload(request.body));
      case 'CommitFileBlocksUpload':
        return this.#commit(parsePayload(request.body));
      default:
        return undefined;
    }
  }

  #initialize(payload: Payload): ServiceResponse {
    const { Target: target, FileName: name, FileAttributeName: column } = payload;
    const type = String((target as Payload | undefined)?.['@odata.type']).replace(
      /^#?Microsoft\.Dynamics\.CRM\./,
      '',
    );
    const table = this.#store.model.tables.get(type);
    if (table === undefined || typeof name !== 'string' || typeof column !== 'string') {
      throw badRequest('The target, file name or attribute of the upload is missing.', '0x80048d19');
    }
    const definition = table.columns[columnIndex(table, column)];
    if (!definition?.file) throw badRequest(`The attribute ${column} is not a file attribute.`, '0x80044a05');
    const row = findRow(this.#store, table, String((target as Payload)[table.primaryId]));
    const token = crypto.randomUUID();
    this.#blocks.set(token, { place: { table, row, column }, name, blocks: new Map() });
    return json({ FileContinuationToken: token });
  }

  #block({ BlockId: id, BlockData: data, FileContinuationToken: token }: Payload): ServiceResponse {
    const bytes = Buffer.from(String(data), 'base64');
    if (typeof id !== 'string' || bytes.length === 0 || bytes.length > chunkSize) {
      throw badRequest('The block has no id, no data, or more than 4 MB.', '0x80044a01');
    }
    this.#uploadOf(token).blocks.set(id, bytes);
    return noContent();
  }

  #commit({ BlockList: list, MimeType: mimeType, FileContinuationToken: token }: Payload): ServiceResponse {
    const { place, name, blocks } = this.#uploadOf(token);
    const parts = (Array.isArray(list) ? list : []).map((id) => blocks.get(String(id)));
    if (parts.some((part) => part === undefined)) {
      throw badRequest('The specified block list is invalid.', '0x80044a01');
    }
    const data = Buffer.concat(parts as Buffer[]);
    this.#put(place, { name, data, mimeType: typeof mimeType === 'string' ? mimeType : undefined });
    return json({ FileId: crypto.randomUUID(), FileSizeInBytes: data.length });
  }

  #uploadOf(token: unknown): BlockUpload {
    const upload = this.#blocks.get(String(token));
    if (upload === undefined) throw badRequest('The file continuation token is not valid.', '0x80044a01');
    return upload;
  }

  /** The file in a column, for tests. */
  file(table: string, id: string, column: string): StoredFile | undefined {
    return this.#files.get(`${table}/${id}/${column}`);
  }

  #upload(request: ServiceRequest, place: Place): ServiceResponse {
    const query = new Map(queryPairs(request.query));
    const header = request.headers['x-ms-file-name'];
    const name = query.get('x-ms-file-name') ?? (header === undefined ? 'file' : decodeURIComponent(header));
    const token = query.get('sessiontoken');
    if (token !== undefined) return this.#chunk(request, token);
    if (request.headers['x-ms-transfer-mode'] !== 'chunked') {
      return this.#put(place, { name, data: request.body });
    }
    const session = crypto.randomUUID();
    this.#uploads.set(session, { name, place, chunks: [], received: 0 });
    const path = `${apiRoot}/${place.table.entitySetName}(${place.row.id})/${place.column}`;
    return {
      status: 200,
      headers: {
        location: `${request.origin}${path}?sessiontoken=${session}`,
        'x-ms-chunk-size': String(chunkSize),
        'accept-ranges': 'bytes',
      },
      body: [],
    };
  }

  #chunk(request: ServiceRequest, token: string): ServiceResponse {
    const upload = this.#uploads.get(token);
    const range = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(request.headers['content-range'] ?? '');
    if (upload === undefined || range === null) {
      throw badRequest('The upload session or the content range is not valid.', '0x80044a01');
    }
    const [start, end, total] = range.slice(1).map(Number) as [number, number, number];
    if (
      end - start + 1 !== request.body.length ||
      request.body.length > chunkSize ||
      start > upload.received
    ) {
      throw badRequest('The chunk does not fit its content range.', '0x80044a01');
    }
    // A client repeats a chunk if the response was lost. The copy changes nothing.
    if (start === upload.received) {
      upload.chunks.push(request.body);
      upload.received = end + 1;
    }
    if (upload.received < total) return { status: 206, headers: { 'accept-ranges': 'bytes' }, body: [] };
    return this.#put(upload.place, { name: upload.name, data: Buffer.concat(upload.chunks) });
  }

  #put({ table, row, column }: Place, file: StoredFile | undefined): ServiceResponse {
    const key = `${table.logicalName}/${row.id}/${column}`;
    if (file === undefined) this.#files.delete(key);
    else this.#files.set(key, file);
    const isImage = table.columns[columnIndex(table, column)]!.type === 'Edm.Binary';
    const reference = isImage ? file?.data.toString('base64') : file && crypto.randomUUID();
    const values: RowValues = { [column]: reference ?? null };
    if (columnIndex(table, `${column}_name`) >= 0) values[`${column}_name`] = file?.name ?? null;
    if (isImage && columnIndex(table, `${column}id`) >= 0)
      values[`${column}id`] = file === undefined ? null : crypto.randomUUID();
    this.#store.update(table.logicalName, row.id, values);
    return noContent();
  }

  #download(request: ServiceRequest, { table, row, column }: Place): ServiceResponse {
    const stored =
      this.#files.get(`${table.logicalName}/${row.id}/${column}`) ?? thumbnail(table, row, column);
    if (stored === undefined) {
      throw new ServiceError(404, '0x80040217', `No file attachment found for attribute: ${column}.`);
    }
    const { data, name } = stored;
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers['range'] ?? '');
    const headers = {
      'content-type': 'application/octet-stream',
      'x-ms-file-name': encodeURIComponent(name),
      'x-ms-file-size': String(data.length),
    };
    if (range === null) return { status: 200, headers, body: [new Fragment(data)] };
    const start = Number(range[1]);
    const end = Math.min(Number(range[2]), data.length - 1);
    if (start >= data.length)
      throw new ServiceError(416, '0x80044a01', 'The range is beyond the end of the file.');
    return {
      status: 206,
      headers: { ...headers, 'content-range': `bytes ${start}-${end}/${data.length}` },
      body: [new Fragment(data.subarray(start, end + 1))],
    };
  }
}

/** The content of an image column that was filled without an upload. */
function thumbnail(table: Table, row: Row, column: string): StoredFile | undefined {
  const value = row.values[columnIndex(table, column)];
  return typeof value === 'string' && table.columns[columnIndex(table, column)]!.type === 'Edm.Binary'
    ? { name: `${column}.bin`, data: Buffer.from(value, 'base64') }
    : undefined;
}

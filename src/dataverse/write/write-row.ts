import { dataverseFault, isMissingRow } from '../errors/errors.ts';
import { codes } from '../errors/fault-codes.ts';
import { checkName, queryString, type RowKey, rowPath } from '../read/query.ts';
import { readRow } from '../read/read-row.ts';
import type { Call, CallOptions } from '../transport/call.ts';
import { type Reply, type Row, readObject } from '../transport/reply.ts';
import type { Transport } from '../transport/transport.ts';
import { type RowValues, toJson } from './exact-number.ts';

export interface WriteOptions extends CallOptions {
  /** Columns to return (`Prefer: return=representation`), as they are after the server's own logic has run. */
  returning?: readonly string[] | undefined;
  /** Further headers, for example `MSCRM.BypassBusinessLogicExecution` or `MSCRM.SuppressDuplicateDetection`. */
  headers?: Record<string, string> | undefined;
}

export interface UpsertOptions extends WriteOptions {
  /**
   * `create` never changes an existing row (`If-None-Match: *`), `update` never creates one (`If-Match: *`),
   * `any` does either. @default 'any'
   */
  mode?: 'any' | 'create' | 'update' | undefined;
  /** Writes only if the row still has this version: its `@odata.etag`. */
  etag?: string | undefined;
}

export interface Written {
  /** The row's id, if the response contains it. */
  id?: string;
  /** Whether the row is new. Known for `create`, and for `upsert` with `returning`. */
  created?: boolean;
  row?: Row;
}

/** Describes a `create`, for a request of its own or a part of a batch. */
export function createCall(entitySet: string, row: RowValues, options: WriteOptions = {}): Call {
  const call = writeCall(checkName(entitySet, 'entity set name'), entitySet, row, options);
  return { ...call, method: 'POST' };
}

/** Describes an `upsert`, for a request of its own or a part of a batch. */
export function upsertCall(
  entitySet: string,
  key: RowKey,
  row: RowValues,
  options: UpsertOptions = {},
): Call {
  const { mode = 'any', etag } = options;
  const call = writeCall(rowPath(entitySet, key), entitySet, row, options);
  if (etag !== undefined || mode === 'update') call.headers!['If-Match'] = etag ?? '*';
  else if (mode === 'create') call.headers!['If-None-Match'] = '*';
  return { ...call, method: 'PATCH', idempotent: etag === undefined && mode !== 'create' };
}

/** Describes a `delete`, for a request of its own or a part of a batch. */
export function deleteCall(
  entitySet: string,
  key: RowKey,
  options: CallOptions & { etag?: string | undefined } = {},
): Call {
  return {
    ...options,
    operation: `delete a row of ${entitySet}`,
    entitySet,
    method: 'DELETE',
    url: rowPath(entitySet, key),
    headers: { 'If-Match': options.etag },
  };
}

function writeCall(path: string, entitySet: string, row: RowValues, options: WriteOptions): Call {
  const { returning, headers } = options;
  return {
    ...options,
    operation: `write a row of ${entitySet}`,
    entitySet,
    url: path + queryString({ select: returning }),
    headers: { Prefer: returning && 'return=representation', ...headers },
    body: toJson(row),
  };
}

/**
 * Creates a row (POST; learn.microsoft.com: "Create a table row using the Web API").
 * Without a response the server may have created the row, so the request is retried only if the row has an
 * id of its own: put the id into the row and name its column in `idColumn`.
 * @throws DataverseConflictError if the id or an alternate key already exists
 * @example
 * const { id } = await client.create('accounts', { name: 'Contoso' });
 * await client.create('contacts', {
 *   lastname: 'Lovelace',
 *   'parentcustomerid_account@odata.bind': `/accounts(${id})`,
 * });
 */
export async function create(
  transport: Transport,
  entitySet: string,
  row: RowValues,
  options: WriteOptions & { idColumn?: string | undefined } = {},
): Promise<Written> {
  const id = options.idColumn === undefined ? undefined : row[options.idColumn];
  const own = typeof id === 'string' ? { id } : undefined;
  const call = createCall(entitySet, row, options);
  try {
    const written = await transport.send({ ...call, idempotent: own !== undefined }, toWritten);
    return { ...written, id: written.id ?? own?.id, created: true };
  } catch (error) {
    const fault = dataverseFault(error);
    // The server did execute an earlier attempt: the existing row is this one.
    const isOurs = fault?.maybeDoneBefore && fault.code === codes.duplicateRecord;
    if (own === undefined || !isOurs) throw error;
    if (options.returning === undefined) return { ...own, created: true };
    const read = { ...options, select: options.returning };
    const existing = await readRow(transport, entitySet, own.id, read);
    if (existing === undefined) throw error;
    return { ...own, created: true, row: existing };
  }
}

/**
 * Creates or updates a row by id or alternate key (PATCH; learn.microsoft.com: "Use Upsert to create or
 * update a record"). Leave the columns of the key out of the row. It is retried unless it has an etag or
 * the mode `create`.
 * @throws DataverseConflictError if the row exists (`create`) or has another version (`etag`)
 * @throws DataverseError with status 404 if the row does not exist (`update`)
 * @example
 * await client.upsert('accounts', id, { name: 'Contoso' });
 * await client.upsert('contacts', { emailaddress1: 'ada@example.com' }, { lastname: 'Lovelace' });
 * await client.upsert('accounts', id, { name: 'Contoso' }, { etag: String(row['@odata.etag']) });
 */
export async function upsert(
  transport: Transport,
  entitySet: string,
  key: RowKey,
  row: RowValues,
  options: UpsertOptions = {},
): Promise<Written> {
  const { mode = 'any', etag } = options;
  const written = await transport.send(upsertCall(entitySet, key, row, options), toWritten);
  if (mode === 'create') return { ...written, created: true };
  return mode === 'update' || etag !== undefined ? { ...written, created: false } : written;
}

/**
 * `upsert` that never creates a row.
 * @throws DataverseError with status 404 if the row does not exist
 * @example
 * await client.update('accounts', id, { name: 'Contoso' });
 */
export function update(
  transport: Transport,
  entitySet: string,
  key: RowKey,
  row: RowValues,
  options: UpsertOptions = {},
): Promise<Written> {
  return upsert(transport, entitySet, key, row, { ...options, mode: 'update' });
}

/**
 * Deletes a row. Returns whether it existed.
 * @throws DataverseConflictError if the row has another version (`etag`)
 * @example
 * const existed = await client.delete('accounts', id);
 */
export function deleteRow(
  transport: Transport,
  entitySet: string,
  key: RowKey,
  options: CallOptions & { etag?: string | undefined } = {},
): Promise<boolean> {
  return sendDelete(transport, deleteCall(entitySet, key, options));
}

/** Sends a DELETE. Returns whether its target existed, now or before an earlier attempt without a response. */
async function sendDelete(transport: Transport, call: Call): Promise<boolean> {
  try {
    await transport.send({ ...call, idempotent: true }, () => {});
    return true;
  } catch (error) {
    if (!isMissingRow(error)) throw error;
    return dataverseFault(error)?.maybeDoneBefore === true;
  }
}

/** What the response to a write says. */
export function toWritten(reply: Reply): Written {
  if (reply.body.length > 0) return { row: readObject(reply), created: reply.status === 201 };
  const id = /\(([0-9a-f-]{36})\)$/i.exec(reply.headers.get('odata-entityid') ?? '')?.[1];
  return { id: id?.toLowerCase() };
}

import { dataverseFault } from '../errors/errors.ts';
import { codes } from '../errors/fault-codes.ts';
import { checkGuid, checkName, queryString, type RowKey, rowPath } from '../read/query.ts';
import { type Row, readObject } from '../transport/json-reply.ts';
import type { Call, CallOptions, Reply, Transport } from '../transport/transport.ts';
import { type RowValues, toJson } from './exact-number.ts';

export type { Row } from '../transport/json-reply.ts';

export interface WriteOptions extends CallOptions {
  /** Columns to get back (`Prefer: return=representation`), after the server's own logic has run. */
  returning?: readonly string[] | undefined;
  /** Further headers, for instance `MSCRM.BypassBusinessLogicExecution` or `MSCRM.SuppressDuplicateDetection`. */
  headers?: Record<string, string> | undefined;
}

export interface UpsertOptions extends WriteOptions {
  /**
   * `create` never changes an existing row, `update` never makes one; both: `any`.
   * Sent as `If-None-Match: *` and `If-Match: *`. @default 'any'
   */
  mode?: 'any' | 'create' | 'update' | undefined;
  /** Writes only over this version of the row: its `@odata.etag`. */
  etag?: string | undefined;
}

export interface Written {
  /** The row's id, where the answer told it. */
  id?: string;
  /** Whether the row is new. Known for creations, and for upserts with `returning`. */
  created?: boolean;
  row?: Row;
}

function writeCall(path: string, entitySet: string, row: RowValues, options: WriteOptions): Call {
  const { returning, headers } = options;
  return {
    ...options,
    operation: `write a row of ${entitySet}`,
    entity: entitySet,
    url: path + queryString({ select: returning }),
    headers: { ...(returning && { Prefer: 'return=representation' }), ...headers },
    body: toJson(row),
  };
}

/**
 * Creates a row (POST; learn.microsoft.com: "Create a table row using the Web API").
 * A request without an answer may have been carried out, so it is sent again only where the row brings
 * its own id: name the primary key column in `idColumn`, and have the id in the row.
 * @throws DataverseConflictError where the id or an alternate key exists already
 */
export async function create(
  transport: Transport,
  entitySet: string,
  row: RowValues,
  options: WriteOptions & { idColumn?: string | undefined } = {},
): Promise<Written> {
  const id = options.idColumn === undefined ? undefined : row[options.idColumn];
  const own = typeof id === 'string' ? { id } : undefined;
  const call = writeCall(checkName(entitySet, 'entity set name'), entitySet, row, options);
  try {
    const idempotent = own !== undefined;
    const written = await transport.send({ ...call, method: 'POST', idempotent }, toWritten);
    return { ...own, ...written, created: true };
  } catch (error) {
    const fault = dataverseFault(error);
    // An earlier try was carried out after all: the row that is in the way is this one.
    const isOurs = fault?.maybeDoneBefore && fault.code === codes.duplicateRecord;
    if (own === undefined || !isOurs) throw error;
    return { ...own, created: true };
  }
}

/**
 * Creates or updates a row by id or alternate key (PATCH; learn.microsoft.com: "Use Upsert to create or
 * update a record"). The key's columns stay out of the row. Safe to repeat, save with an etag.
 * @throws DataverseConflictError where a row exists (`create`) or has another version (`etag`)
 * @throws DataverseError with status 404 where none exists (`update`)
 */
export async function upsert(
  transport: Transport,
  entitySet: string,
  key: RowKey,
  row: RowValues,
  options: UpsertOptions = {},
): Promise<Written> {
  const { mode = 'any', etag } = options;
  const call = writeCall(rowPath(entitySet, key), entitySet, row, options);
  if (etag !== undefined || mode === 'update') call.headers!['If-Match'] = etag ?? '*';
  else if (mode === 'create') call.headers!['If-None-Match'] = '*';
  const idempotent = etag === undefined && mode !== 'create';
  const written = await transport.send({ ...call, method: 'PATCH', idempotent }, toWritten);
  if (mode === 'create') return { ...written, created: true };
  return mode === 'update' || etag !== undefined ? { ...written, created: false } : written;
}

/** `upsert` that never makes a row. @throws DataverseError with status 404 where there is none */
export function update(
  transport: Transport,
  entitySet: string,
  key: RowKey,
  row: RowValues,
  options: UpsertOptions = {},
): Promise<Written> {
  return upsert(transport, entitySet, key, row, { ...options, mode: 'update' });
}

/** Reads one row, with `@odata.etag`; undefined where there is none. */
export async function readRow(
  transport: Transport,
  entitySet: string,
  key: RowKey,
  options: CallOptions & { select?: readonly string[] | undefined } = {},
): Promise<Row | undefined> {
  const operation = `read a row of ${entitySet}`;
  const url = rowPath(entitySet, key) + queryString({ select: options.select });
  const call = { ...options, operation, entity: entitySet, url };
  return transport.send(call, readObject).catch((error) => {
    if (!isMissingRow(error)) throw error;
    return undefined;
  });
}

/** Deletes a row. Returns whether there was one. */
export function deleteRow(
  transport: Transport,
  entitySet: string,
  key: RowKey,
  options: CallOptions & { etag?: string | undefined } = {},
): Promise<boolean> {
  const operation = `delete a row of ${entitySet}`;
  const headers = options.etag === undefined ? undefined : { 'If-Match': options.etag };
  const url = rowPath(entitySet, key);
  return sendRemoval(transport, { ...options, operation, entity: entitySet, url, headers });
}

/** One row of one table. */
export interface RowReference {
  entitySet: string;
  id: string;
}

/** Links two rows through a collection-valued navigation property (N:N or 1:N). Linking twice is no error. */
export async function associate(
  transport: Transport,
  from: RowReference,
  navigationProperty: string,
  to: RowReference,
  options: CallOptions = {},
): Promise<void> {
  const call: Call = {
    ...options,
    operation: `associate a row of ${from.entitySet} through ${navigationProperty}`,
    entity: from.entitySet,
    method: 'POST',
    url: `${navigationPath(from, navigationProperty)}/$ref`,
    body: toJson({ '@odata.id': transport.base + rowPath(to.entitySet, to.id) }),
    idempotent: true,
  };
  await transport
    .send(call, () => {})
    .catch((error) => {
      if (dataverseFault(error)?.code !== codes.duplicateRecord) throw error;
    });
}

function navigationPath(from: RowReference, property: string): string {
  return `${rowPath(from.entitySet, from.id)}/${checkName(property, 'navigation property')}`;
}

/** Undoes `associate`. Returns whether the two were linked. */
export function disassociate(
  transport: Transport,
  from: RowReference,
  navigationProperty: string,
  toId: string,
  options: CallOptions = {},
): Promise<boolean> {
  const operation = `disassociate a row of ${from.entitySet} through ${navigationProperty}`;
  const url = `${navigationPath(from, navigationProperty)}(${checkGuid(toId)})/$ref`;
  return sendRemoval(transport, { ...options, operation, entity: from.entitySet, url });
}

/** Sends a DELETE. Returns whether there was something to delete, now or at an earlier try without an answer. */
async function sendRemoval(transport: Transport, call: Call): Promise<boolean> {
  try {
    await transport.send({ ...call, method: 'DELETE', idempotent: true }, () => {});
    return true;
  } catch (error) {
    if (!isMissingRow(error)) throw error;
    return dataverseFault(error)?.maybeDoneBefore === true;
  }
}

/** Whether an error says that the row itself is missing, not the table. */
export function isMissingRow(error: unknown): boolean {
  const fault = dataverseFault(error);
  if (fault?.status !== 404) return false;
  return fault.code === codes.objectDoesNotExist || fault.code === codes.noRowWithThatKey;
}

function toWritten(reply: Reply): Written {
  if (reply.body.length > 0) return { row: readObject(reply), created: reply.status === 201 };
  const id = /\(([0-9a-f-]{36})\)$/i.exec(reply.headers.get('odata-entityid') ?? '')?.[1];
  return id === undefined ? {} : { id: id.toLowerCase() };
}

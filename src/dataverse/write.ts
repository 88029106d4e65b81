import { dataverseFault } from './errors.ts';
import { type RowValues, toJson } from './exact-number.ts';
import { codes } from './fault-codes.ts';
import { checkGuid, checkName, queryPath, type RowKey, rowPath } from './query.ts';
import { type Call, type CallOptions, type Reply, type Transport, unreadable } from './transport.ts';

/** A row as it came back, parsed: numbers beyond a double's exactness are not kept. */
export type Row = Record<string, unknown>;

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
  const { returning, headers, ...rest } = options;
  return {
    ...rest,
    operation: `write a row of ${entitySet}`,
    entity: entitySet,
    url: path + queryPath('x', { select: returning }).slice(1),
    headers: {
      'Content-Type': 'application/json; charset=utf-8',
      ...(returning === undefined ? {} : { Prefer: 'return=representation' }),
      ...headers,
    },
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
  const { idColumn, ...rest } = options;
  const ownId = idColumn === undefined ? undefined : row[idColumn];
  const call: Call = {
    ...writeCall(checkName(entitySet, 'entity set name'), entitySet, row, rest),
    method: 'POST',
    idempotent: typeof ownId === 'string',
  };
  try {
    const written = await transport.send(call, (reply) => toWritten(call, reply));
    return { ...(typeof ownId === 'string' ? { id: ownId } : {}), ...written, created: true };
  } catch (error) {
    const fault = dataverseFault(error);
    // An earlier try was carried out after all: the row that is in the way is this one.
    if (typeof ownId === 'string' && fault?.maybeDoneBefore && fault.code === codes.duplicateRecord) {
      return { id: ownId, created: true };
    }
    throw error;
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
  const { mode = 'any', etag, ...rest } = options;
  const call = writeCall(rowPath(entitySet, key), entitySet, row, rest);
  if (etag !== undefined || mode === 'update') call.headers!['If-Match'] = etag ?? '*';
  else if (mode === 'create') call.headers!['If-None-Match'] = '*';
  const idempotent = etag === undefined && mode !== 'create';
  return transport.send({ ...call, method: 'PATCH', idempotent }, (reply) => {
    const written = toWritten(call, reply);
    if (mode === 'create') return { ...written, created: true };
    return mode === 'update' || etag !== undefined ? { ...written, created: false } : written;
  });
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
  const { select, ...rest } = options;
  const call: Call = {
    ...rest,
    operation: `read a row of ${entitySet}`,
    entity: entitySet,
    url: rowPath(entitySet, key) + queryPath('x', { select }).slice(1),
  };
  try {
    return await transport.send(call, (reply) => toRow(call, reply));
  } catch (error) {
    if (isMissingRow(error)) return undefined;
    throw error;
  }
}

/** Deletes a row. Returns whether there was one. */
export function deleteRow(
  transport: Transport,
  entitySet: string,
  key: RowKey,
  options: CallOptions & { etag?: string | undefined } = {},
): Promise<boolean> {
  const { etag, ...rest } = options;
  const headers: Record<string, string> = etag === undefined ? {} : { 'If-Match': etag };
  const operation = `delete a row of ${entitySet}`;
  return sendRemoval(transport, {
    ...rest,
    operation,
    entity: entitySet,
    url: rowPath(entitySet, key),
    headers,
  });
}

/** The row at the other end of a relationship. */
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
    headers: { 'Content-Type': 'application/json; charset=utf-8' },
    body: toJson({ '@odata.id': `${transport.origin}/api/data/v9.2/${rowPath(to.entitySet, to.id)}` }),
    idempotent: true,
  };
  try {
    await transport.send(call, () => {});
  } catch (error) {
    if (dataverseFault(error)?.code !== codes.duplicateRecord) throw error;
  }
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

function toWritten(call: Call, reply: Reply): Written {
  if (reply.body.length === 0) {
    const id = /\(([0-9a-f-]{36})\)$/i.exec(reply.headers.get('odata-entityid') ?? '')?.[1];
    return id === undefined ? {} : { id: id.toLowerCase() };
  }
  return { row: toRow(call, reply), created: reply.status === 201 };
}

function toRow(call: Call, reply: Reply): Row {
  try {
    const row: unknown = JSON.parse(reply.body.toString());
    if (row !== null && typeof row === 'object' && !Array.isArray(row)) return row as Row;
  } catch {
    // Said below, without the content.
  }
  throw unreadable(call, reply, 'it is no row');
}

import { ConflictError } from '../../errors.ts';
import { DataverseError, dataverseFault } from '../errors/errors.ts';
import { codes } from '../errors/fault-codes.ts';
import { cutToSize } from '../read/cut-to-size.ts';
import { checkName } from '../read/query.ts';
import { readObject } from '../transport/json-reply.ts';
import { type Call, type CallOptions, type Transport, unreadable } from '../transport/transport.ts';
import { type RowValues, toJson } from './exact-number.ts';
import { create, upsert } from './write.ts';

export interface BulkWrite {
  message: 'CreateMultiple' | 'UpdateMultiple' | 'UpsertMultiple';
  entitySet: string;
  logicalName: string;
  /** Each with its id in the primary key column, or `@odata.id` with an alternate key (UpsertMultiple). */
  rows: readonly RowValues[];
  /**
   * The primary key column. Where every row brings its id in it, CreateMultiple can be repeated, and
   * updates and upserts go one by one where the table has no bulk messages.
   */
  idColumn?: string | undefined;
  /** Rows per request at most. @default 1000, where Microsoft advises to begin */
  maxRows?: number | undefined;
  headers?: Record<string, string> | undefined;
}

export interface RefusedRow {
  /** Its place in `rows`. */
  index: number;
  error: Error;
}

export interface BulkResult {
  written: number;
  refused: RefusedRow[];
  /** CreateMultiple: the id of each row, undefined where refused. */
  ids: (string | undefined)[];
}

/** Bytes of a request, well under Dataverse's limit of 116 MB with plug-ins. */
const maxRequestBytes = 16 * 1024 * 1024;

/** Rows under way together where each goes alone; the limiter decides how many really run. */
const rowsTogether = 100;

/**
 * Writes many rows with one message per thousand. Dataverse carries out each request wholly or not at
 * all (standard tables), so one that is refused is halved until the bad rows stand alone; each is
 * reported and its neighbours are written. A timeout of the database halves too. A table that does not
 * know the message gets its rows one by one.
 * learn.microsoft.com: "Bulk operation messages".
 * @throws DataverseRetriableError, -SkipError, -ConfigurationError: no single row's fault. Rows before
 *   may be written; writing all again is right for updates and upserts.
 */
export async function writeBulk(
  transport: Transport,
  write: BulkWrite,
  options: CallOptions = {},
): Promise<BulkResult> {
  const type = `Microsoft.Dynamics.CRM.${checkName(write.logicalName, 'logical name')}`;
  const targets = write.rows.map((row) => toJson({ '@odata.type': type, ...row }));
  const result: BulkResult = { written: 0, refused: [], ids: new Array(targets.length).fill(undefined) };
  const sizes = targets.map((target) => Buffer.byteLength(target) + 1);
  const parts = cutToSize(sizes, maxRequestBytes, write.maxRows ?? 1000);
  for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
    const [start, end] = part;
    const rows = write.rows.slice(start, end);
    try {
      note(result, start, await writeTogether(transport, write, rows, targets.slice(start, end), options));
    } catch (error) {
      if (lacksMessage(error) && canGoAlone(write)) {
        return writeOneByOne(transport, write, start, result, options);
      }
      if (rows.length === 1 || !isHalved(error)) refuse(result, start, error);
      else {
        const middle = Math.ceil((start + end) / 2);
        parts.unshift([start, middle], [middle, end]);
      }
    }
  }
  return result;
}

function note(result: BulkResult, start: number, ids: readonly (string | undefined)[]): void {
  for (const [offset, id] of ids.entries()) result.ids[start + offset] = id;
  result.written += ids.length;
}

/** @throws the error itself where it is not the row's own fault */
function refuse(result: BulkResult, index: number, error: unknown): void {
  if (!isRefusal(error)) throw error;
  result.refused.push({ index, error });
}

/** Whether some row was refused: a smaller request finds out which. */
function isRefusal(error: unknown): error is Error {
  if (dataverseFault(error) === undefined || lacksMessage(error)) return false;
  return error instanceof DataverseError || error instanceof ConflictError;
}

/** Whether a smaller request may do better: a row was refused, or the work was too much at once. */
function isHalved(error: unknown): boolean {
  return isRefusal(error) || dataverseFault(error)?.code === codes.sqlTimeout;
}

/** Whether the table does not know the message. */
function lacksMessage(error: unknown): boolean {
  const status = dataverseFault(error)?.status;
  return status === 405 || status === 501;
}

function canGoAlone({ message, rows, idColumn }: BulkWrite): boolean {
  return message === 'CreateMultiple' || rows.every((row) => ownId(row, idColumn) !== undefined);
}

/** Writes some rows, all or none, and gives their ids. */
async function writeTogether(
  transport: Transport,
  { message, entitySet, idColumn, headers }: BulkWrite,
  rows: readonly RowValues[],
  targets: readonly string[],
  options: CallOptions,
): Promise<(string | undefined)[]> {
  const ownIds = rows.map((row) => ownId(row, idColumn));
  const allOwn = !ownIds.includes(undefined);
  const call: Call = {
    ...options,
    operation: `${message} of ${rows.length} rows of ${entitySet}`,
    entity: entitySet,
    method: 'POST',
    url: `${checkName(entitySet, 'entity set name')}/Microsoft.Dynamics.CRM.${message}`,
    headers,
    body: `{"Targets":[${targets.join(',')}]}`,
    idempotent: message !== 'CreateMultiple' || allOwn,
    notRetried: rows.length > 1 ? [codes.sqlTimeout] : [],
    timeoutSeconds: 300,
  };
  try {
    return await transport.send(call, (reply) => {
      if (message !== 'CreateMultiple') return ownIds;
      const { Ids: ids } = readObject(reply);
      if (!Array.isArray(ids) || ids.length !== rows.length) {
        throw unreadable(reply, 'it does not name the new ids');
      }
      return ids.map((id) => String(id).toLowerCase());
    });
  } catch (error) {
    const fault = dataverseFault(error);
    // All or nothing: if a try without an answer made these rows, all of them exist.
    const exists = fault?.code === codes.duplicateRecord && fault.maybeDoneBefore;
    if (message === 'CreateMultiple' && allOwn && exists) return ownIds;
    throw error;
  }
}

function ownId(row: RowValues, idColumn: string | undefined): string | undefined {
  const id = idColumn === undefined ? undefined : row[idColumn];
  return typeof id === 'string' ? id : undefined;
}

/** Writes the rows from `start` on, each with a request of its own. */
async function writeOneByOne(
  transport: Transport,
  write: BulkWrite,
  start: number,
  result: BulkResult,
  options: CallOptions,
): Promise<BulkResult> {
  for (let at = start; at < write.rows.length; at += rowsTogether) {
    const rows = write.rows.slice(at, at + rowsTogether);
    const outcomes = await Promise.allSettled(rows.map((row) => writeOne(transport, write, row, options)));
    for (const [offset, outcome] of outcomes.entries()) {
      if (outcome.status === 'fulfilled') note(result, at + offset, [outcome.value]);
      else refuse(result, at + offset, outcome.reason);
    }
  }
  return result;
}

async function writeOne(
  transport: Transport,
  { message, entitySet, idColumn, headers }: BulkWrite,
  row: RowValues,
  options: CallOptions,
): Promise<string | undefined> {
  const all = { ...options, headers, idColumn };
  if (message === 'CreateMultiple') return (await create(transport, entitySet, row, all)).id;
  const id = ownId(row, idColumn)!;
  const mode = message === 'UpdateMultiple' ? 'update' : 'any';
  // The id stands in the URL; JSON leaves out what is undefined.
  await upsert(transport, entitySet, id, { ...row, [idColumn!]: undefined }, { ...all, mode });
  return id;
}

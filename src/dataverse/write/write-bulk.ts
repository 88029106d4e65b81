import { ConflictError } from '../../errors.ts';
import { DataverseError, dataverseFault } from '../errors/errors.ts';
import { codes } from '../errors/fault-codes.ts';
import { checkName } from '../read/query.ts';
import { splitBySize } from '../read/split-by-size.ts';
import type { Call, CallOptions } from '../transport/call.ts';
import type { Transport } from '../transport/transport.ts';
import { type RowValues, toJson } from './exact-number.ts';
import { upsert } from './write-row.ts';

export interface BulkWrite {
  message: 'UpdateMultiple' | 'UpsertMultiple';
  entitySet: string;
  logicalName: string;
  /** Rows with their id in the primary key column, or with `@odata.id` and an alternate key (UpsertMultiple). */
  rows: readonly RowValues[];
  /** The primary key column. If every row has its id there, a table without bulk messages gets them one by one. */
  idColumn?: string | undefined;
  /** Maximum rows per request. @default 1000, which Microsoft recommends to start with */
  maxRows?: number | undefined;
}

export interface RejectedRow {
  /** Index into `rows`. */
  index: number;
  error: Error;
}

export interface BulkResult {
  written: number;
  rejected: RejectedRow[];
}

/** Bytes per request, far below Dataverse's limit of 116 MB with plug-ins. */
export const maxRequestBytes = 16 * 1024 * 1024;

/** How many rows wait for the limiter at once when each row takes a request of its own. */
const concurrentRows = 100;

/**
 * Writes many rows, a thousand per request. In standard tables, a request succeeds or fails as a whole, so a
 * rejected request is halved until each invalid row is alone: it is reported, and all others are written. A
 * request that exceeds the database's time limit is halved too. A table without the message gets its rows
 * one by one. learn.microsoft.com: "Bulk operation messages".
 * @throws DataverseRetriableError, DataverseSkipError, DataverseConfigurationError for a fault that no row
 *   caused. Some rows may have been written; updates and upserts can be repeated as a whole.
 * @example
 * const { written, rejected } = await client.writeBulk({
 *   message: 'UpsertMultiple',
 *   entitySet: 'accounts',
 *   logicalName: 'account',
 *   rows: [{ accountid: id, name: 'Contoso' }],
 * });
 */
export async function writeBulk(
  transport: Transport,
  write: BulkWrite,
  options: CallOptions = {},
): Promise<BulkResult> {
  const type = `Microsoft.Dynamics.CRM.${checkName(write.logicalName, 'logical name')}`;
  const targets = write.rows.map((row) => toJson({ '@odata.type': type, ...row }));
  const result: BulkResult = { written: 0, rejected: [] };
  const sizes = targets.map((target) => Buffer.byteLength(target) + 1);
  const parts = splitBySize(sizes, maxRequestBytes, write.maxRows ?? 1000);
  let at = 0;
  try {
    await writeHalving(
      parts,
      async (start, end) => {
        at = start;
        await writeTogether(transport, write, targets.slice(start, end), options);
        result.written += end - start;
      },
      (index, error) => addRejected(result, index, error),
    );
  } catch (error) {
    if (!lacksMessage(error) || !canWriteOneByOne(write)) throw error;
    return writeOneByOne(transport, write, at, result, options);
  }
  return result;
}

/**
 * Writes rows in parts, one part after the other. A part that is rejected is halved, until each invalid row is alone.
 * @param parts of the rows, as `[start, end)`; emptied
 * @param reject receives the error of a row that cannot be written, or of a part that no smaller one helps
 */
export async function writeHalving(
  parts: [start: number, end: number][],
  write: (start: number, end: number) => Promise<void>,
  reject: (index: number, error: unknown, end: number) => void,
): Promise<void> {
  for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
    const [start, end] = part;
    try {
      await write(start, end);
    } catch (error) {
      if (end - start === 1 || !canHalve(error)) reject(start, error, end);
      else {
        const middle = Math.ceil((start + end) / 2);
        parts.unshift([start, middle], [middle, end]);
      }
    }
  }
}

/** @throws the error itself if the row did not cause it */
function addRejected(result: BulkResult, index: number, error: unknown): void {
  if (!isRejection(error)) throw error;
  result.rejected.push({ index, error });
}

/** Whether Dataverse rejected a row. Smaller requests show which one. */
export function isRejection(error: unknown): error is Error {
  if (dataverseFault(error) === undefined || lacksMessage(error)) return false;
  return error instanceof DataverseError || error instanceof ConflictError;
}

/** Whether a smaller request may succeed: a row was rejected, or the request took too long. */
function canHalve(error: unknown): boolean {
  // An elastic table has written the other rows already.
  if (dataverseFault(error)?.bulkRows !== undefined) return false;
  return isRejection(error) || dataverseFault(error)?.code === codes.sqlTimeout;
}

/** Whether the table does not support the message. */
export function lacksMessage(error: unknown): boolean {
  const { status, serverMessage = '' } = dataverseFault(error) ?? {};
  if (status === 404) return /\b(Create|Update|Upsert)Multiple\b/.test(serverMessage);
  return status === 405 || status === 501;
}

function canWriteOneByOne({ rows, idColumn }: BulkWrite): boolean {
  return rows.every((row) => ownId(row, idColumn) !== undefined);
}

/** Writes rows with one request, all or none. */
export async function writeTogether(
  transport: Transport,
  { message, entitySet }: Pick<BulkWrite, 'message' | 'entitySet'>,
  targets: readonly string[],
  options: CallOptions,
): Promise<void> {
  const call: Call = {
    ...options,
    operation: `${message} of ${targets.length} rows of ${entitySet}`,
    entitySet,
    method: 'POST',
    url: `${checkName(entitySet, 'entity set name')}/Microsoft.Dynamics.CRM.${message}`,
    body: `{"Targets":[${targets.join(',')}]}`,
    idempotent: true,
    notRetried: targets.length > 1 ? [codes.sqlTimeout] : [],
    timeoutSeconds: 300,
  };
  await transport.send(call, () => undefined);
}

function ownId(row: RowValues, idColumn: string | undefined): string | undefined {
  const id = idColumn === undefined ? undefined : row[idColumn];
  return typeof id === 'string' ? id : undefined;
}

/** Writes the rows from `start` on, one request per row. */
async function writeOneByOne(
  transport: Transport,
  write: BulkWrite,
  start: number,
  result: BulkResult,
  options: CallOptions,
): Promise<BulkResult> {
  for (let at = start; at < write.rows.length; at += concurrentRows) {
    const rows = write.rows.slice(at, at + concurrentRows);
    const outcomes = await Promise.allSettled(rows.map((row) => writeOne(transport, write, row, options)));
    for (const [offset, outcome] of outcomes.entries()) {
      if (outcome.status === 'fulfilled') result.written += 1;
      else addRejected(result, at + offset, outcome.reason);
    }
  }
  return result;
}

async function writeOne(
  transport: Transport,
  { message, entitySet, idColumn }: BulkWrite,
  row: RowValues,
  options: CallOptions,
): Promise<void> {
  const mode = message === 'UpdateMultiple' ? 'update' : 'any';
  // The URL contains the id; JSON omits undefined values.
  const values = { ...row, [idColumn!]: undefined };
  await upsert(transport, entitySet, ownId(row, idColumn)!, values, { ...options, mode });
}

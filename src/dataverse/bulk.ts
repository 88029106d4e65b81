import { ConflictError } from '../errors.ts';
import { DataverseError, dataverseFault } from './errors.ts';
import { type RowValues, toJson } from './exact-number.ts';
import { codes } from './fault-codes.ts';
import { checkName } from './query.ts';
import { type Call, type CallOptions, type Reply, type Transport, unreadable } from './transport.ts';

export type BulkMessage = 'CreateMultiple' | 'UpdateMultiple' | 'UpsertMultiple';

export interface BulkWrite {
  message: BulkMessage;
  entitySet: string;
  logicalName: string;
  /** Each with its id in the primary key column, or `@odata.id` with an alternate key (UpsertMultiple). */
  rows: readonly RowValues[];
  /** The primary key column: with it, CreateMultiple can be repeated where every row brings its id. */
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

/**
 * Writes many rows with one message per thousand. Dataverse carries out each request wholly or not at
 * all (standard tables), so one that is refused is halved until the bad rows stand alone; each is
 * reported and its neighbours are written. A timeout of the database halves too.
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
  const parts = cutToSize(targets, write.maxRows ?? 1000);
  for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
    const [start, end] = part;
    try {
      const ids = await sendPart(transport, write, targets, start, end, options);
      for (const [offset, id] of ids.entries()) result.ids[start + offset] = id;
      result.written += end - start;
    } catch (error) {
      if (!isHalved(error, end - start)) throw error;
      if (end - start === 1) result.refused.push({ index: start, error: error as Error });
      else {
        const middle = Math.ceil((start + end) / 2);
        parts.unshift([start, middle], [middle, end]);
      }
    }
  }
  return result;
}

function cutToSize(targets: readonly string[], maxRows: number): [number, number][] {
  const parts: [number, number][] = [];
  let start = 0;
  let bytes = 0;
  for (const [index, target] of targets.entries()) {
    const length = Buffer.byteLength(target) + 1;
    if (index > start && (index - start >= maxRows || bytes + length > maxRequestBytes)) {
      parts.push([start, index]);
      start = index;
      bytes = 0;
    }
    bytes += length;
  }
  if (start < targets.length) parts.push([start, targets.length]);
  return parts;
}

/** Whether a smaller request may do better: some row was refused, or the work was too much at once. */
function isHalved(error: unknown, rows: number): boolean {
  const fault = dataverseFault(error);
  if (fault?.code === codes.sqlTimeout) return rows > 1;
  // 405 and 501 say that the table does not know the message.
  if (fault?.status === 405 || fault?.status === 501) return false;
  return fault !== undefined && (error instanceof DataverseError || error instanceof ConflictError);
}

async function sendPart(
  transport: Transport,
  write: BulkWrite,
  targets: readonly string[],
  start: number,
  end: number,
  options: CallOptions,
): Promise<(string | undefined)[]> {
  const { message, entitySet, idColumn } = write;
  const rows = write.rows.slice(start, end);
  const ownIds = idColumn === undefined ? [] : rows.map((row) => row[idColumn] as string | undefined);
  const allOwn = ownIds.length === rows.length && ownIds.every((id) => typeof id === 'string');
  const call: Call = {
    ...options,
    operation: `${message} of ${rows.length} rows of ${entitySet}`,
    entity: entitySet,
    method: 'POST',
    url: `${checkName(entitySet, 'entity set name')}/Microsoft.Dynamics.CRM.${message}`,
    headers: { 'Content-Type': 'application/json; charset=utf-8', ...write.headers },
    body: `{"Targets":[${targets.slice(start, end).join(',')}]}`,
    idempotent: message !== 'CreateMultiple' || allOwn,
    notRetried: rows.length > 1 ? [codes.sqlTimeout] : [],
    timeoutSeconds: 300,
  };
  try {
    return await transport.send(call, (reply) =>
      message === 'CreateMultiple' ? readIds(call, reply, rows.length) : ownIds,
    );
  } catch (error) {
    const fault = dataverseFault(error);
    // All or nothing: if a try without an answer made these rows, all of them exist.
    const exists = fault?.code === codes.duplicateRecord && fault.maybeDoneBefore;
    if (message === 'CreateMultiple' && allOwn && exists) return ownIds;
    throw error;
  }
}

function readIds(call: Call, reply: Reply, expected: number): string[] {
  try {
    const ids = (JSON.parse(reply.body.toString()) as { Ids: string[] }).Ids;
    if (Array.isArray(ids) && ids.length === expected) return ids.map((id) => String(id).toLowerCase());
  } catch {
    // Said below, without the content.
  }
  throw unreadable(call, reply, 'it does not name the new ids');
}

import { DataverseRetriableError, dataverseFault } from '../../dataverse/errors/errors.ts';
import { codes } from '../../dataverse/errors/fault-codes.ts';
import { splitBySize } from '../../dataverse/read/split-by-size.ts';
import type { CallOptions } from '../../dataverse/transport/call.ts';
import type { Transport } from '../../dataverse/transport/transport.ts';
import { createMultiple } from '../../dataverse/write/create-multiple.ts';
import { toJson } from '../../dataverse/write/exact-number.ts';
import {
  lacksMessage,
  maxRequestBytes,
  writeHalving,
  writeTogether,
} from '../../dataverse/write/write-bulk.ts';
import type { Operation } from '../batch/operation.ts';
import type { QuerySource } from '../query/query.ts';
import { type BulkOptions, checkBulkOptions } from './bulk-options.ts';
import { BulkResult } from './bulk-result.ts';
import { Outcomes } from './outcomes.ts';
import { inParallel, sendMany } from './send-many.ts';

/** @internal */
export interface BulkWork<T> {
  message: 'CreateMultiple' | 'UpdateMultiple' | 'UpsertMultiple';
  count: number;
  /** The values of a row. @throws UsageError, which rejects this row only */
  body(index: number): Readonly<Record<string, unknown>>;
  /** The id that the client gave to a row. With ids for all rows, the request can be repeated. */
  ownId?: ((index: number) => string) | undefined;
  /** The result of a row from the id that Dataverse assigned. */
  valueFor(id: string | undefined): T;
  /** The same for one row, where the table has no such message. */
  single(index: number, row: Readonly<Record<string, unknown>>): Operation<T>;
}

/** @internal
 * Writes rows with bulk messages. A request of a standard table succeeds or fails as a whole, so a rejected one is halved
 * until each invalid row is alone. A table without the message gets its rows in batches. A fault that no row caused rejects
 * the rows of its request. It ends the operation if it will not pass, or if it was retried already, or the third time in a
 * row: the rows after them are skipped. The same happens when the signal is aborted.
 * @throws the reason of the signal, if no row was written before
 */
export async function writeMany<T>(
  source: QuerySource,
  work: BulkWork<T>,
  options: BulkOptions = {},
): Promise<BulkResult<T>> {
  const { message } = work;
  const { maxRows, concurrency } = checkBulkOptions(options);
  const outcomes = new Outcomes<T>(work.count, options.onProgress);
  const { rows, sizes } = toRows(work, outcomes);
  const parts = splitBySize(sizes, maxRequestBytes, maxRows ?? 1000);
  let faultsInARow = 0;
  await source.session.run(options, async (transport, callOptions) => {
    const { entitySet, logicalName } = await source.definition(options);
    const write = async (start: number, end: number) => {
      // These rows stay skipped: they are not sent.
      if (callOptions.signal?.aborted) return;
      const part = rows.slice(start, end);
      const own = work.ownId && part.map(({ index }) => work.ownId!(index));
      const bodies = part.map(({ body }) => body);
      const ids = await send(transport, { message, entitySet, logicalName }, bodies, own, callOptions);
      faultsInARow = 0;
      for (const [place, { index }] of part.entries()) outcomes.fulfil(index, work.valueFor(ids?.[place]));
    };
    const fail = (start: number, error: unknown, end: number) => {
      const indexes = rows.slice(start, end).map(({ index }) => index);
      if (callOptions.signal?.aborted) {
        parts.length = 0;
        for (const index of indexes) outcomes.reject(index, error);
        return;
      }
      if (outcomes.takeBulkRows(indexes, error, work.valueFor)) return;
      if (lacksMessage(error)) throw new NoBulkMessage();
      for (const index of indexes) outcomes.reject(index, error);
      if (isRowRejected(error)) return;
      faultsInARow += 1;
      const isRetried = message !== 'CreateMultiple' || work.ownId !== undefined;
      if (!dataverseFault(error)?.transient || isRetried || faultsInARow >= 3) parts.length = 0;
    };
    try {
      await inParallel(concurrency, () => writeHalving(parts, write, fail));
    } catch (error) {
      if (!(error instanceof NoBulkMessage)) throw error;
      const rest = rows.filter(({ index }) => outcomes.list[index]?.status === 'skipped');
      const operations = rest.map(({ index, body }) => ({ index, make: () => work.single(index, body) }));
      await sendMany(source, operations, outcomes, options);
    }
    outcomes.throwIfAborted(callOptions.signal);
  });
  return new BulkResult(outcomes.list);
}

interface BulkRow {
  index: number;
  body: Readonly<Record<string, unknown>>;
}

/** The rows that can be sent, with their sizes in bytes. The others are rejected. */
function toRows<T>(work: BulkWork<T>, outcomes: Outcomes<T>): { rows: BulkRow[]; sizes: number[] } {
  const rows: BulkRow[] = [];
  const sizes: number[] = [];
  for (let index = 0; index < work.count; index += 1) {
    try {
      const body = work.body(index);
      sizes.push(Buffer.byteLength(toJson(body)) + 100);
      rows.push({ index, body });
    } catch (error) {
      outcomes.reject(index, error);
    }
  }
  return { rows, sizes };
}

/** The table does not support the message. */
class NoBulkMessage extends Error {}

function isRowRejected(error: unknown): boolean {
  const fault = dataverseFault(error);
  return (
    fault?.status !== undefined &&
    fault.status >= 400 &&
    fault.status < 500 &&
    !fault.transient &&
    ![401, 403].includes(fault.status)
  );
}

async function send(
  transport: Transport,
  to: { message: BulkWork<unknown>['message']; entitySet: string; logicalName: string },
  rows: readonly Readonly<Record<string, unknown>>[],
  ownIds: readonly string[] | undefined,
  options: CallOptions,
): Promise<readonly string[] | undefined> {
  const { message, entitySet, logicalName } = to;
  if (message === 'CreateMultiple') {
    const create = createMultiple(transport, to, rows, { ...options, isRepeatable: ownIds !== undefined });
    return ownIds === undefined ? create : create.catch((error) => whetherCreated(error, ownIds));
  }
  const type = `Microsoft.Dynamics.CRM.${logicalName}`;
  const targets = rows.map((row) => toJson({ '@odata.type': type, ...row }));
  await writeTogether(transport, { message, entitySet }, targets, options);
  return undefined;
}

/**
 * What a conflict means after an attempt without a response. A standard table creates all rows of a request or none, and the
 * ids are new, so a row that exists is the work of that attempt.
 * @throws the error if it means something else
 */
function whetherCreated(error: unknown, ids: readonly string[]): readonly string[] {
  const fault = dataverseFault(error);
  // An elastic table says which rows it wrote: see `takeBulkRows`.
  if (fault?.bulkRows?.length || !fault?.maybeDoneBefore || fault.status !== 412) throw error;
  if (fault.code === codes.duplicateRecord) return ids;
  // Without the code it stays open. Smaller requests would not tell either.
  if (fault.code === undefined) throw new DataverseRetriableError((error as Error).message, { fault });
  throw error;
}

import { dataverseFault } from '../../dataverse/errors/errors.ts';
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
import { type BatchOutcome, sendBatch } from '../batch/send-batch.ts';
import type { RequestOptions } from '../client/options.ts';
import { toPublicError } from '../client/to-public-error.ts';
import type { QuerySource } from '../query/query.ts';
import { BulkResult } from './bulk-result.ts';

export interface BulkOptions extends RequestOptions {
  /** Rows per request. @default 1000, which Microsoft recommends to start with; 100 for deletes */
  maxRows?: number | undefined;
  /** Requests at the same time. Those that write the same rows can lock each other out. @default 1 */
  concurrency?: number | undefined;
  /** Called when further rows are settled, with how many are so far. */
  onProgress?: ((settled: number, total: number) => void) | undefined;
}

/** @internal */
export interface BulkWork<T> {
  message: 'CreateMultiple' | 'UpdateMultiple' | 'UpsertMultiple';
  rows: readonly Readonly<Record<string, unknown>>[];
  /** The result of a row from the id that Dataverse assigned. */
  valueFor(id: string | undefined): T;
  /** The same for one row, where the table has no such message. */
  single(row: Readonly<Record<string, unknown>>): Operation<T>;
}

/** Rows per request where each row takes an operation of a batch. */
const batchRows = 100;

/** @internal
 * Writes rows with bulk messages. A request of a standard table succeeds or fails as a whole, so a rejected one is halved
 * until each invalid row is alone. A table without the message gets its rows in batches. A fault that no row caused ends
 * the operation: its rows are rejected with it, those after them skipped.
 */
export async function writeMany<T>(
  source: QuerySource,
  work: BulkWork<T>,
  options: BulkOptions = {},
): Promise<BulkResult<T>> {
  const { rows, message } = work;
  const outcomes = new Outcomes<T>(rows.length, options.onProgress);
  const sizes = rows.map((row) => Buffer.byteLength(toJson(row)) + 100);
  const parts = splitBySize(sizes, maxRequestBytes, options.maxRows ?? 1000);
  await source.session.run(options, async (transport, callOptions) => {
    const { entitySet, logicalName } = await source.definition(options);
    const write = async (start: number, end: number) => {
      const part = rows.slice(start, end);
      const ids = await send(transport, { message, entitySet, logicalName }, part, callOptions);
      for (let index = start; index < end; index += 1)
        outcomes.fulfil(index, work.valueFor(ids?.[index - start]));
    };
    const fail = (index: number, error: unknown, end: number) => {
      if (callOptions.signal?.aborted) throw error;
      if (outcomes.takeBulkRows(index, error, work)) return;
      if (lacksMessage(error)) throw new NoBulkMessage();
      for (let row = index; row < end; row += 1) outcomes.reject(row, error);
      // One row that is rejected does not stop the others; anything else would go wrong with them as well.
      if (!isRowRejected(error)) parts.length = 0;
    };
    try {
      await inParallel(options.concurrency ?? 1, () => writeHalving(parts, write, fail));
    } catch (error) {
      if (!(error instanceof NoBulkMessage)) throw error;
      await writeInBatches(source, work, outcomes, options);
    }
  });
  return new BulkResult(outcomes.list);
}

/** The table does not support the message. */
class NoBulkMessage extends Error {}

/** Runs workers that take from one list. */
async function inParallel(count: number, worker: () => Promise<void>): Promise<void> {
  const results = await Promise.allSettled(Array.from({ length: Math.max(1, count) }, worker));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

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
  options: CallOptions,
): Promise<string[] | undefined> {
  const { message, entitySet, logicalName } = to;
  if (message === 'CreateMultiple') return createMultiple(transport, to, rows, options);
  const type = `Microsoft.Dynamics.CRM.${logicalName}`;
  const targets = rows.map((row) => toJson({ '@odata.type': type, ...row }));
  await writeTogether(transport, { message, entitySet }, targets, options);
  return undefined;
}

/** Sends the rows that have no outcome yet as operations of batches. */
async function writeInBatches<T>(
  source: QuerySource,
  { rows, single }: BulkWork<T>,
  outcomes: Outcomes<T>,
  options: BulkOptions,
): Promise<void> {
  const rest = outcomes.list.flatMap(({ status }, index) => (status === 'skipped' ? [index] : []));
  await sendMany(source, rest, (index) => single(rows[index]!), outcomes, options);
}

/** @internal Sends an operation per index, in batches. A batch that fails as a whole ends it. */
export async function sendMany<T>(
  source: QuerySource,
  indexes: readonly number[],
  operationOf: (index: number) => Operation<T>,
  outcomes: Outcomes<T>,
  options: BulkOptions,
): Promise<void> {
  const size = Math.min(options.maxRows ?? batchRows, batchRows);
  for (let start = 0; start < indexes.length; start += size) {
    const part = indexes.slice(start, start + size);
    try {
      const replies = await sendBatch(source.session, part.map(operationOf), {
        ...options,
        continueOnError: true,
      });
      for (const [place, index] of part.entries()) outcomes.set(index, replies[place] as BatchOutcome<T>);
    } catch (error) {
      if (options.signal?.aborted) throw error;
      for (const index of part) outcomes.reject(index, error);
      return;
    }
  }
}

/** @internal Collects what became of each row. */
export class Outcomes<T> {
  readonly list: BatchOutcome<T>[];
  readonly #onProgress: BulkOptions['onProgress'];
  #settled = 0;

  constructor(rows: number, onProgress: BulkOptions['onProgress']) {
    this.list = Array.from({ length: rows }, () => ({ status: 'skipped' }));
    this.#onProgress = onProgress;
  }

  set(index: number, outcome: BatchOutcome<T>): void {
    if (this.list[index]?.status === 'skipped' && outcome.status !== 'skipped') this.#settled += 1;
    this.list[index] = outcome;
    this.#onProgress?.(this.#settled, this.list.length);
  }

  fulfil(index: number, value: T): void {
    this.set(index, { status: 'fulfilled', value });
  }

  reject(index: number, error: unknown): void {
    this.set(index, { status: 'rejected', reason: toPublicError(error) });
  }

  /** Elastic tables write the valid rows of a request, and say which. @returns whether the error says so */
  takeBulkRows(start: number, error: unknown, { valueFor }: Pick<BulkWork<T>, 'valueFor'>): boolean {
    const known = dataverseFault(error)?.bulkRows;
    if (known === undefined || known.length === 0) return false;
    for (const { index, id, status } of known) {
      if (status < 400) this.fulfil(start + index, valueFor(id));
      else this.reject(start + index, error);
    }
    return true;
  }
}

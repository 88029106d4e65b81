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
import type { BulkOptions } from './bulk-options.ts';
import { BulkResult } from './bulk-result.ts';
import { Outcomes } from './outcomes.ts';
import { sendMany } from './send-many.ts';

/** @internal */
export interface BulkWork<T> {
  message: 'CreateMultiple' | 'UpdateMultiple' | 'UpsertMultiple';
  rows: readonly Readonly<Record<string, unknown>>[];
  /** The ids that the client gave to all rows: the request can be repeated. */
  ownIds?: readonly string[] | undefined;
  /** The result of a row from the id that Dataverse assigned. */
  valueFor(id: string | undefined): T;
  /** The same for one row, where the table has no such message. */
  single(row: Readonly<Record<string, unknown>>): Operation<T>;
}

/** @internal
 * Writes rows with bulk messages. A request of a standard table succeeds or fails as a whole, so a rejected one is halved
 * until each invalid row is alone. A table without the message gets its rows in batches. A fault that no row caused rejects
 * the rows of its request. It ends the operation if it will not pass, or if it was retried already, or the third time in a
 * row: the rows after them are skipped.
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
  let faultsInARow = 0;
  await source.session.run(options, async (transport, callOptions) => {
    const { entitySet, logicalName } = await source.definition(options);
    const write = async (start: number, end: number) => {
      const part = rows.slice(start, end);
      const own = work.ownIds?.slice(start, end);
      const ids = await send(transport, { message, entitySet, logicalName }, part, own, callOptions);
      faultsInARow = 0;
      for (let index = start; index < end; index += 1)
        outcomes.fulfil(index, work.valueFor(ids?.[index - start]));
    };
    const fail = (index: number, error: unknown, end: number) => {
      if (callOptions.signal?.aborted) throw error;
      if (outcomes.takeBulkRows(index, error, work.valueFor)) return;
      if (lacksMessage(error)) throw new NoBulkMessage();
      for (let row = index; row < end; row += 1) outcomes.reject(row, error);
      if (isRowRejected(error)) return;
      faultsInARow += 1;
      const isRetried = message !== 'CreateMultiple' || work.ownIds !== undefined;
      if (!dataverseFault(error)?.transient || isRetried || faultsInARow >= 3) parts.length = 0;
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

/**
 * What a conflict means after an attempt without a response. A standard table creates all rows of a request or none, and the
 * ids are new, so a row that exists is the work of that attempt.
 * @throws the error if it means something else
 */
function whetherCreated(error: unknown, ids: readonly string[]): readonly string[] {
  const fault = dataverseFault(error);
  if (!fault?.maybeDoneBefore || fault.status !== 412) throw error;
  if (fault.code === codes.duplicateRecord) return ids;
  // Without the code it stays open. Smaller requests would not tell either.
  if (fault.code === undefined) throw new DataverseRetriableError((error as Error).message, { fault });
  throw error;
}

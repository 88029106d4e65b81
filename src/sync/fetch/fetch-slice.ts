import { addRequestStats, createRequestStats, type RequestStats } from '../../dataverse/transport/stats.ts';
import { RetriableError } from '../../errors.ts';
import { isLive } from '../documents/active-run.ts';
import type { FetchMessage } from '../documents/messages.ts';
import { paths } from '../documents/paths.ts';
import { requestEarlyMerge, requestMergeIfFetched, takesLong } from '../documents/request-merge.ts';
import type { SyncServices } from '../documents/services.ts';
import { addFigures, type Slice, type SliceStart } from '../documents/slice.ts';
import { failTable, isFinal, storeError } from './fail-table.ts';
import { readSlice } from './read-slice.ts';
import { stageShard } from './stage-shard.ts';
import { asksToWait, waitFurther, waitInQueue } from './wait-in-queue.ts';

/**
 * Fetches one slice of one table: reads pages until the table ends or the slice is full, stores the shard under a name
 * of this attempt, creates the slice's document, and sends the next message. Can be repeated.
 *
 * @param options `redelivered`: the message was delivered before, so messages that follow from it may be missing
 * @throws RetriableError and unknown errors: the queue delivers the message again
 */
export async function fetchSlice(
  services: SyncServices,
  message: FetchMessage,
  options: { redelivered?: boolean } = {},
): Promise<void> {
  const { runId, round, entity } = message;
  const { documents, progress, telemetry } = services;
  if (!(await isLive(services, runId))) {
    telemetry.log('info', `Run ${runId} is over. Its message for ${entity} is dropped.`, { runId, entity });
    return;
  }
  if ((await documents.failure(runId, round, entity)) !== undefined) {
    return requestMergeIfFetched(services, runId, round, { resend: true });
  }
  const done = await documents.slice(runId, round, entity, message.slice);
  if (done !== undefined) {
    telemetry.log('debug', `Slice ${message.slice} of ${entity} is done already.`, { runId, entity });
    return sendNext(services, message, done, { resend: true, again: options.redelivered === true });
  }
  if (await waitFurther(services, message)) return;
  const start = await sliceStart(services, message);
  if (start === undefined) return;
  const stats = createRequestStats();
  addRequestStats(stats, message.waiting?.spent ?? (await spentBefore(services, message)));
  try {
    const { slice, shard } = await storeSlice(services, message, start, stats, options);
    telemetry.event('SliceFetched', { runId, round, table: entity }, addFigures([slice]));
    const resend = options.redelivered === true;
    const stage = async () => shard && (await stageShard(services, message, slice.shard!, shard));
    // The merge can follow the last slice at once. Others are staged while the next one is read.
    if (slice.next === undefined) await stage();
    await sendNext(services, message, slice, { resend, again: resend });
    if (slice.next !== undefined) await stage();
  } catch (error) {
    if (isFinal(error)) return failTable(services, message, error);
    if (asksToWait(error)) return await postpone(services, message, error, stats);
    await storeError(services, message, error);
    throw error;
  } finally {
    progress.clear(runId, round, entity);
  }
}

/** Lets the queue wait; after too many waits the table fails. */
async function postpone(
  services: SyncServices,
  message: FetchMessage,
  error: RetriableError & { retryAfterSeconds: number },
  stats: RequestStats,
): Promise<void> {
  try {
    await waitInQueue(services, message, error, stats);
  } catch (final) {
    if (!isFinal(final)) throw final;
    await failTable(services, message, final);
  }
}

/** Where the slice starts: as planned, or where the slice before it stopped. Undefined after the table's last slice. */
async function sliceStart(services: SyncServices, message: FetchMessage): Promise<SliceStart | undefined> {
  const { runId, round, entity, slice } = message;
  const plan = await services.documents.plan(runId, round);
  // The name comes from a message: `constructor` is none of them.
  const planned =
    plan !== undefined && Object.hasOwn(plan.entities, entity) ? plan.entities[entity] : undefined;
  if (planned === undefined) {
    throw new RetriableError(`The plan of round ${round} of run ${runId} does not contain ${entity}.`, {
      object: paths.plan(runId, round),
    });
  }
  if (slice === 0) return { strategy: planned.strategy, read: planned.read, part: 'rows' };
  const before = await services.documents.slice(runId, round, entity, slice - 1);
  if (before !== undefined) return before.next;
  throw new RetriableError(`Slice ${slice} of ${entity} was requested before slice ${slice - 1} was done.`, {
    object: entity,
  });
}

/** What the planning counted for a table whose first page it could not read. */
async function spentBefore(
  { documents }: SyncServices,
  { runId, round, entity, slice }: FetchMessage,
): Promise<Partial<RequestStats>> {
  return (slice === 0 && (await documents.plan(runId, round))?.entities[entity]?.spent) || {};
}

/**
 * Reads the slice and stores it.
 * @returns the slice that counts: another attempt may have stored one first. If it is this one, its shard, too
 */
async function storeSlice(
  services: SyncServices,
  message: FetchMessage,
  start: SliceStart,
  stats: RequestStats,
  options: { redelivered?: boolean },
): Promise<{ slice: Slice; shard?: Uint8Array | undefined }> {
  const { runId, round, entity } = message;
  const { documents, work, shards } = services;
  const { slice, shard } = await readSlice(services, message, start, stats, options);
  if (shard !== undefined) {
    slice.shard = paths.shard(runId, round, entity, message.slice, services.randomId());
    slice.shardBytes = shard.byteLength;
    await work.putBytes(slice.shard, shard);
    shards.put(slice.shard, shard);
  }
  if (await work.createIfAbsent(paths.slice(runId, round, entity, message.slice), slice)) {
    return { slice, shard };
  }
  const stored = await documents.slice(runId, round, entity, message.slice);
  if (stored !== undefined) return { slice: stored };
  throw new RetriableError(`The slice of ${entity} exists and cannot be read.`, { object: entity });
}

/**
 * Requests the next slice, and the merge of other tables if the read takes long; after the last one marks the table as
 * ended, and requests the merge if it was the last table.
 * @param options `again`: requests the early merge also if it was requested before. Each request renews itself, so only a
 * message that may have died before it sent one repeats it.
 */
async function sendNext(
  services: SyncServices,
  message: FetchMessage,
  slice: Slice,
  options: { resend: boolean; again: boolean },
): Promise<void> {
  const { runId, round, entity } = message;
  if (slice.next !== undefined) {
    const next = message.slice + 1;
    // Where the next slice exists, its own handler has sent what follows.
    if ((await services.documents.slice(runId, round, entity, next)) === undefined) {
      await services.sendFetch({ runId, round, entity, slice: next });
    }
    const plan = await services.documents.plan(runId, round);
    if (plan !== undefined && takesLong(services, plan)) {
      await requestEarlyMerge(services, runId, round, { again: options.again });
    }
    return;
  }
  await services.work.createIfAbsent(paths.ended(runId, round, entity), { slices: message.slice + 1 });
  await requestMergeIfFetched(services, runId, round, options);
}

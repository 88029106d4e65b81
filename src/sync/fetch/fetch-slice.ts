import { RetriableError } from '../../errors.ts';
import { isLive } from '../documents/active-run.ts';
import type { FetchMessage } from '../documents/messages.ts';
import { paths } from '../documents/paths.ts';
import { requestMergeIfFetched } from '../documents/request-merge.ts';
import type { SyncServices } from '../documents/services.ts';
import type { Slice, SliceStart } from '../documents/slice.ts';
import { failTable, isFinal, noteError } from './fail-table.ts';
import { readSlice } from './read-slice.ts';

/**
 * Fetches one slice of one entity: pages Dataverse until the entity or the slice's budget ends, stores the shard
 * under a name of this attempt, claims the slice, and asks for what comes next. Safe to run any number of times.
 *
 * @param redelivered whether the message was delivered before, so that follow-up messages may be missing
 * @throws RetriableError and unknown errors: the queue delivers the message again
 */
export async function fetchSlice(
  services: SyncServices,
  message: FetchMessage,
  options: { redelivered?: boolean; signal?: AbortSignal } = {},
): Promise<void> {
  const { runId, round, entity } = message;
  const { documents, work, progress, telemetry } = services;
  if (!(await isLive(services, runId))) {
    telemetry.log('info', `The run ${runId} is over; its message for ${entity} is dropped.`, {
      runId,
      entity,
    });
    return;
  }
  if ((await documents.failure(runId, round, entity)) !== undefined) {
    return requestMergeIfFetched(services, runId, round, { resend: true });
  }
  const claimed = await documents.slice(runId, round, entity, message.slice);
  if (claimed !== undefined) {
    telemetry.log('debug', `Slice ${message.slice} of ${entity} was done before.`, { runId, entity });
    return followUp(services, message, claimed, true);
  }
  const start = await sliceStart(services, message);
  if (start === undefined) return;

  const attempt = services.randomId();
  try {
    const { slice, shard } = await readSlice(services, message, start, options.signal);
    if (shard !== undefined) {
      slice.shard = paths.shard(runId, round, entity, message.slice, attempt);
      await work.putBytes(slice.shard, shard);
      slice.shardBytes = shard.byteLength;
      services.shards.put(slice.shard, shard);
    }
    const won = await work.createIfAbsent(paths.slice(runId, round, entity, message.slice), slice);
    const result = won ? slice : await documents.slice(runId, round, entity, message.slice);
    if (result === undefined)
      throw new RetriableError(`The slice of ${entity} was claimed and cannot be read.`);
    const { rowsRead, pages, requests, retries, bytes, seconds } = result;
    telemetry.event(
      'SliceFetched',
      { runId, round, entity },
      { rowsRead, pages, requests, retries, bytes, seconds },
    );
    await followUp(services, message, result, options.redelivered === true);
  } catch (error) {
    if (!isFinal(error)) {
      await noteError(services, message, error);
      throw error;
    }
    await failTable(services, message, error);
  } finally {
    progress.clear(runId, round, entity);
  }
}

/** Where this slice begins: the plan's read, or where the slice before it stopped. */
async function sliceStart(services: SyncServices, message: FetchMessage): Promise<SliceStart | undefined> {
  const { runId, round, entity, slice } = message;
  const plan = await services.documents.plan(runId, round);
  const planned = plan?.entities[entity];
  if (planned === undefined) {
    throw new RetriableError(`The plan of round ${round} of run ${runId} does not hold ${entity}.`, {
      object: paths.plan(runId, round),
    });
  }
  if (slice === 0) return { strategy: planned.strategy, read: planned.read, part: 'rows' };
  const before = await services.documents.slice(runId, round, entity, slice - 1);
  if (before === undefined) {
    throw new RetriableError(
      `Slice ${slice} of ${entity} was asked for before slice ${slice - 1} was done.`,
      {
        object: entity,
      },
    );
  }
  return before.next;
}

/** Asks for the next slice, or marks the entity's end and looks whether the round is complete. */
async function followUp(
  services: SyncServices,
  message: FetchMessage,
  slice: Slice,
  resend: boolean,
): Promise<void> {
  const { runId, round, entity } = message;
  if (slice.next !== undefined) {
    const next = message.slice + 1;
    // A later slice that is claimed already has seen to its own follow-up.
    if ((await services.documents.slice(runId, round, entity, next)) === undefined) {
      await services.sendFetch({ ...message, slice: next });
    }
    return;
  }
  await services.work.createIfAbsent(paths.ended(runId, round, entity), { slices: message.slice + 1 });
  await requestMergeIfFetched(services, runId, round, { resend });
}

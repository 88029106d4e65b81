import { intervalOf } from '../../config/strategies.ts';
import { countLimit } from '../../dataverse/read/count.ts';
import { createRequestStats } from '../../dataverse/transport/stats.ts';
import { describeForLog } from '../../errors.ts';
import { entitySetOf } from '../../schema/table.ts';
import { forEachConcurrently } from '../../storage/for-each-concurrently.ts';
import type { TableState } from '../../target/state.ts';
import { paths } from '../documents/paths.ts';
import type { Catalog, RoundPlan, TablePlan } from '../documents/plan.ts';
import type { SyncServices } from '../documents/services.ts';
import { addFigures, type Slice } from '../documents/slice.ts';
import { readRows } from '../fetch/read-slice.ts';
import { broughtNothing } from '../strategies/next-state.ts';
import { readingOf, strategies } from '../strategies/registry.ts';
import { countRows } from './count-rows.ts';

/** How many tables are read at the same time, and how long reading all of them may take. */
const concurrency = 16;
const limitSeconds = 20;
/** A whole table, and rows by id, are read here only if one small page holds them. */
const maxBytes = 1_000_000;
const maxIds = 500;
/** The queue waits and retries at lower cost: a table that Dataverse does not answer for at once is left to it. */
const retry = { maxTries: 1, maxPauseSeconds: 1 };

/** What the planning has read. */
export interface FirstSlices {
  /** By logical name. */
  slices: Record<string, Slice>;
  /** Shards that are stored only if the run goes on: those of tables without changes. By logical name. */
  kept: Map<string, Uint8Array>;
}

/**
 * Reads the first page of every table that continues where its last read ended, so that tables without changes cost no
 * message. What was read is the table's first slice. A table that fails, is throttled or is not answered in time is read
 * through the queue, as are tables that are new, large and read in full, or compared with Dataverse.
 * @param plan of round 1. What it counts for tables that could not be read is noted in its entities
 */
export async function readFirstSlices(
  services: SyncServices,
  plan: RoundPlan,
  { tables }: Catalog,
  entities: Readonly<Record<string, TableState>>,
): Promise<FirstSlices> {
  const first: FirstSlices = { slices: {}, kept: new Map() };
  const signal = AbortSignal.timeout(limitSeconds * 1000);
  const counting = countRows(services, countable(plan, tables, entities, services.settings), {
    signal,
    retry,
    correlationId: plan.runId,
  });
  const quick = Object.keys(plan.entities).filter((name) => isQuick(plan.entities[name]!, entities[name]));
  await forEachConcurrently(quick, concurrency, async (name) => {
    if (signal.aborted) return;
    const tablePlan = plan.entities[name]!;
    const stats = createRequestStats();
    const message = { runId: plan.runId, round: plan.round, entity: name, slice: 0 };
    try {
      const start = { strategy: tablePlan.strategy, read: tablePlan.read, part: 'rows' as const };
      const options = { signal, retry, onePage: true };
      const result = await readRows(services, message, tables[name]!, tablePlan, start, stats, options);
      const { slice, shard } = result;
      const fetched = { name, plan: tablePlan, slices: [slice] };
      const isNews = slice.next !== undefined || !broughtNothing(entities[name], fetched);
      if (shard !== undefined) {
        if (isNews) await storeShard(services, message, slice, shard);
        // Rows that were read because they may have changed are in the mirror. Others are compared as a whole.
        else if (comparesAll(tablePlan)) first.kept.set(name, shard);
      }
      first.slices[name] = slice;
    } catch (error) {
      // The queue repeats the request that failed. No request was sent if the table had to wait for another one.
      tablePlan.spent = { ...stats, retries: stats.retries + Math.min(stats.requests, 1) };
      const text = `The first page of ${name} could not be read at once. The queue reads it: ${describeForLog(error)}`;
      services.telemetry.log('info', text, { runId: plan.runId, entity: name });
    } finally {
      services.progress.clear(plan.runId, plan.round, name);
    }
  });
  for (const [name, count] of await counting) {
    const slice = first.slices[name];
    // A count says nothing of a table that the read shows to have changed, or did not show.
    if (slice === undefined || slice.shard !== undefined) continue;
    if (count - entities[name]!.rows !== (entities[name]!.miscount ?? 0)) compare(plan, first, name, count);
  }
  // The figures of a table that is compared now are in the first slice of its comparison.
  for (const [table, slice] of Object.entries(first.slices)) {
    const event = { runId: plan.runId, round: plan.round, table };
    services.telemetry.event('SliceFetched', event, addFigures([slice]));
  }
  return first;
}

/**
 * The tables whose count tells of deletes that their reads do not show, by logical name, with their entity sets. Those that
 * are compared in every Nth run, or have nothing to compare with, are left to that.
 */
function countable(
  { entities }: RoundPlan,
  tables: Catalog['tables'],
  known: Readonly<Record<string, TableState>>,
  { sync }: SyncServices['settings'],
): Map<string, string> {
  const names = Object.keys(entities).filter((name) => {
    const { config, strategy } = entities[name]!;
    const { rows = countLimit, uncompared } = known[name] ?? {};
    const every = intervalOf(config.reconcileEvery ?? sync.reconcileEvery);
    const isTimed = 'seconds' in every && strategies[strategy].withComparison !== undefined;
    return isTimed && isQuick(entities[name]!, known[name]) && rows < countLimit && uncompared === undefined;
  });
  return new Map(names.map((name) => [name, entitySetOf(tables[name]!)]));
}

/** Has all keys of a table compared in this run: it has another number of rows than the mirror. */
function compare({ entities }: RoundPlan, { slices, kept }: FirstSlices, name: string, count: number): void {
  const plan = entities[name]!;
  const { requests, retries, throttled = 0, waitedSeconds = 0, wireBytes = 0, bytes } = slices[name]!;
  plan.read = readingOf(plan).withComparison!(plan.read);
  plan.counted = count;
  plan.spent = { requests, retries, throttled, waitedSeconds, wireBytes, bytesReceived: bytes };
  delete slices[name];
  kept.delete(name);
}

/** Stores the shards that the merge of the round needs besides those that are stored. */
export async function storeKept(
  services: SyncServices,
  { runId, round }: RoundPlan,
  { slices, kept }: FirstSlices,
): Promise<void> {
  await forEachConcurrently(kept, concurrency, ([entity, shard]) =>
    storeShard(services, { runId, round, entity }, slices[entity]!, shard),
  );
}

/** Whether the merge deletes the rows that the read does not show. */
function comparesAll(plan: TablePlan): boolean {
  const reading = readingOf(plan);
  return reading.isComplete(plan.read) || reading.comparedKeys(plan.read) !== undefined;
}

/** Whether the planned read is likely to end with one small page. */
function isQuick(plan: TablePlan, known: TableState | undefined): boolean {
  const { strategy, read, reread } = plan;
  if (known === undefined || reread !== undefined || strategy !== known.strategy) return false;
  const reading = readingOf(plan);
  if (reading.comparedKeys(read) === 'all' || reading.comparesValues(read)) return false;
  if (strategy === 'filtered') return known.rows <= maxIds;
  if (!reading.isComplete(read)) return true;
  // Of an earlier version, the state does not tell how heavy the rows are.
  return known.rows * (known.rowBytes ?? Number.POSITIVE_INFINITY) <= maxBytes;
}

async function storeShard(
  services: SyncServices,
  { runId, round, entity }: { runId: string; round: number; entity: string },
  slice: Slice,
  shard: Uint8Array,
): Promise<void> {
  slice.shard = paths.shard(runId, round, entity, 0, services.randomId());
  slice.shardBytes = shard.byteLength;
  await services.work.putBytes(slice.shard, shard);
  services.shards.put(slice.shard, shard);
}

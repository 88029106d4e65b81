import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Measurement, measure } from '../measure.ts';
import { startDataverse } from '../start-dataverse.ts';
import { wideMetadata } from '../wide-metadata.ts';

/** See merge.ts. */
type Run = { case: string; merge: number } & Record<
  'floor' | 'fromShards' | 'whole',
  { seconds: number; processor: number }
>;

const rows = 100_000;
const rowsOfFirstSync = 160_000;

/**
 * Prints what a merge of 100,000 wide rows into PostgreSQL takes, beside a plain client in the same rounds, and what it is of a
 * first sync, with shards that reach the server before it and without.
 */
export async function benchPostgres(rounds: number): Promise<void> {
  await benchMerges(rounds);
  await benchFirstSyncs(rounds);
  await benchManyRows();
}

async function benchManyRows(): Promise<void> {
  const lines: object[] = [];
  for (const count of [10_000, 100_000, 1_600_000]) {
    const run = await measure(join(import.meta.dirname, 'many-rows.ts'), [String(count)]);
    const { floor, merge } = run.result as unknown as Record<
      'floor' | 'merge',
      { seconds: number; processor: number }
    >;
    lines.push({
      'new rows in PostgreSQL': `${count.toLocaleString('en')} narrow rows`,
      'wall s': merge.seconds.toFixed(2),
      'µs per row': ((merge.seconds / count) * 1e6).toFixed(1),
      'of COPY and insert': (merge.seconds / floor.seconds).toFixed(2),
      'processor s': merge.processor.toFixed(2),
      'processor, of COPY and insert': (merge.processor / floor.processor).toFixed(2),
      'peak memory': `${(run.peakBytes / 1e6).toFixed(0)} MB`,
    });
  }
  console.table(lines);
}

async function benchFirstSyncs(rounds: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-postgres-'));
  const { document, tables } = wideMetadata(4, 33);
  const metadata = join(folder, 'metadata.xml');
  writeFileSync(metadata, document);
  const dataverse = await startDataverse(String(rowsOfFirstSync), metadata, tables);
  const script = join(import.meta.dirname, 'first-sync.ts');
  const sync = (way: string) => measure(script, [dataverse.url, tables.join(), way]);
  const [loaded, staged]: [Measurement[], Measurement[]] = [[], []];
  try {
    // The sample Dataverse generates each page only once.
    await sync('loaded');
    for (let round = 0; round < rounds; round++) {
      loaded.push(await sync('loaded'));
      staged.push(await sync('staged'));
    }
  } finally {
    dataverse.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  const line = (name: string, runs: readonly Measurement[]) => {
    const of = (figure: string) => median(runs.map(({ result }) => Number(result[figure])));
    return {
      'first sync into PostgreSQL': name,
      'wall s': of('seconds').toFixed(2),
      'merge s': of('merging').toFixed(2),
    };
  };
  console.table([line('shards loaded by the merge', loaded), line('shards staged before it', staged)]);
}

async function benchMerges(rounds: number): Promise<void> {
  const script = join(import.meta.dirname, 'merge.ts');
  const { result, peakBytes } = await measure(script, [String(rows), String(rounds)]);
  const runs = Map.groupBy(result['results'] as Run[], (run) => run.case);
  const of = (list: readonly Run[], figure: (run: Run) => number) => median(list.map(figure)).toFixed(2);
  console.table(
    [...runs].map(([name, list]) => ({
      'PostgreSQL, 33 columns': name,
      'COPY of text and upsert s': of(list, ({ floor }) => floor.seconds),
      'simple text of shards s': of(list, ({ fromShards }) => fromShards.seconds),
      'merge s': of(list, ({ merge }) => merge),
      'with commit s': of(list, ({ whole }) => whole.seconds),
      'of COPY and upsert': of(list, ({ floor, whole }) => whole.seconds / floor.seconds),
      'of simple text': of(list, ({ fromShards, whole }) => whole.seconds / fromShards.seconds),
    })),
  );
  console.table(
    [...runs].map(([name, list]) => ({
      'processor seconds, server included': name,
      'COPY of text and upsert': of(list, ({ floor }) => floor.processor),
      'simple text of shards': of(list, ({ fromShards }) => fromShards.processor),
      'with commit': of(list, ({ whole }) => whole.processor),
      'of COPY and upsert': of(list, ({ floor, whole }) => whole.processor / floor.processor),
      'of simple text': of(list, ({ fromShards, whole }) => whole.processor / fromShards.processor),
    })),
  );
  const megabytes = (bytes: unknown) => `${(Number(bytes) / 1e6).toFixed(0)} MB`;
  console.log(
    `text ${megabytes(result['textBytes'])}, shards ${megabytes(result['shardBytes'])}, peak memory ${megabytes(peakBytes)}`,
  );
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

import { join } from 'node:path';
import { measure } from '../measure.ts';

const rows = 100_000;

/** Prints what a merge of 100,000 wide rows into PostgreSQL takes, beside a plain client in the same rounds. */
export async function benchPostgres(rounds: number): Promise<void> {
  const script = join(import.meta.dirname, 'merge.ts');
  const { result, peakBytes } = await measure(script, [String(rows), String(rounds)]);
  const runs = Map.groupBy(
    result['results'] as (Record<'floor' | 'fromShards' | 'merge' | 'whole', number> & { case: string })[],
    (run) => run.case,
  );
  console.table(
    [...runs].map(([name, of]) => ({
      'PostgreSQL, 33 columns': name,
      'COPY of text and upsert s': median(of.map(({ floor }) => floor)).toFixed(2),
      'simple text of shards s': median(of.map(({ fromShards }) => fromShards)).toFixed(2),
      'merge s': median(of.map(({ merge }) => merge)).toFixed(2),
      'with commit s': median(of.map(({ whole }) => whole)).toFixed(2),
      'of COPY and upsert': median(of.map(({ floor, whole }) => whole / floor)).toFixed(2),
      'of simple text': median(of.map(({ fromShards, whole }) => whole / fromShards)).toFixed(2),
    })),
  );
  const megabytes = (bytes: unknown) => `${(Number(bytes) / 1e6).toFixed(0)} MB`;
  console.log(
    `text ${megabytes(result['textBytes'])}, shards ${megabytes(result['shardBytes'])}, peak memory ${megabytes(peakBytes)}`,
  );
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

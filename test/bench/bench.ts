/**
 * `npm run bench`: measures a first sync and an idle sync against a sample Dataverse in its own process, and a floor
 * (see floor.ts) in the same rounds, then the stages of a first sync (see stages.ts), merges into large mirrors (see
 * large.ts), into PostgreSQL (see
 * postgres/) and the deployment package; with `--package`, `--large` or `--postgres`, only that. Machines are noisy: rely on the ratios and on the medians over the rounds.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { benchLarge } from './large.ts';
import { type Measurement, measure } from './measure.ts';
import { benchPackage } from './package.ts';
import { benchPostgres } from './postgres/bench.ts';
import { startDataverse } from './start-dataverse.ts';
import { wideMetadata } from './wide-metadata.ts';

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '40000' },
    tables: { type: 'string', default: '24' },
    columns: { type: 'string', default: '163' },
    rounds: { type: 'string', default: '3' },
    package: { type: 'boolean', default: false },
    large: { type: 'boolean', default: false },
    postgres: { type: 'boolean', default: false },
    megabytes: { type: 'string', default: '85,1000' },
  },
});
const root = resolve(import.meta.dirname, '../..');
if (values.package) {
  await benchPackage(root, 5);
  process.exit();
}
const sizes = values.megabytes.split(',').map(Number);
if (values.large) {
  await benchLarge(sizes);
  process.exit();
}
if (values.postgres) {
  await benchPostgres(Number(values.rounds));
  process.exit();
}
const folder = mkdtempSync(join(tmpdir(), 'bench-'));
const { document, tables } = wideMetadata(Number(values.tables), Number(values.columns));
const metadata = join(folder, 'metadata.xml');
const entities = join(folder, 'entities.json');
writeFileSync(metadata, document);
writeFileSync(entities, JSON.stringify(tables));

const dataverse = await startDataverse(values.rows, metadata, tables);
const floors: Measurement[] = [];
const firsts: Measurement[] = [];
const idles: Measurement[] = [];
const commandFirsts: Measurement[] = [];
const commandIdles: Measurement[] = [];
const postgresFirsts: Measurement[] = [];
const postgresIdles: Measurement[] = [];
let stages: Measurement;
try {
  const sets = tables.map((name) => `${name}s`).join(',');
  const floor = () => measure(join(import.meta.dirname, 'floor.ts'), [dataverse.url, sets]);
  const source = ['--dataverse', dataverse.url, '--entities', entities];
  const sync = (data: string, more: string[] = []) =>
    measure(
      join(root, 'dist/local/start.js'),
      ['--once', '--json', '--quiet', ...source, '--data', data, ...more],
      { DATAVERSE_ACCESS_TOKEN: 'bench' },
    );
  const command = (out: string) =>
    measure(
      join(root, 'dist/cli/main.js'),
      ['sync', '--json', '--quiet', '--dataverse', dataverse.url, '--entities', entities, '--out', out],
      { DATAVERSE_ACCESS_TOKEN: 'bench' },
    );
  // A warm-up that is not counted: the sample Dataverse generates and compresses each page only once, and the two ask for
  // pages of different sizes.
  await floor();
  await sync(join(folder, 'warm-up'));
  for (let round = 0; round < Number(values.rounds); round++) {
    const data = join(folder, `data-${round}`);
    floors.push(await floor());
    firsts.push(await sync(data));
    idles.push(await sync(data));
    rmSync(data, { recursive: true, force: true });
    const out = join(folder, `mirror-${round}.db`);
    commandFirsts.push(await command(out));
    commandIdles.push(await command(out));
    rmSync(out);
    postgresFirsts.push(await sync(data, ['--target', 'postgres']));
    postgresIdles.push(await sync(data, ['--target', 'postgres']));
    rmSync(serverOf(data), { recursive: true, force: true });
    rmSync(data, { recursive: true, force: true });
    console.error(
      `round ${round + 1}: floor ${show(floors)}, first ${show(firsts)}, idle ${show(idles)}, command ${show(commandFirsts)}, idle ${show(commandIdles)}`,
    );
  }
  stages = await measure(join(import.meta.dirname, 'stages.ts'), [dataverse.url, metadata, tables.join(',')]);
} finally {
  dataverse.stop();
  rmSync(folder, { recursive: true, force: true });
}
print();
await benchLarge(sizes);
await benchPostgres(Number(values.rounds));
await benchPackage(root, 5);

/** Where `npm start` keeps the PostgreSQL server of a data folder. */
function serverOf(data: string): string {
  const state = JSON.parse(readFileSync(join(data, 'local.json'), 'utf8')) as {
    postgres: { folder: string };
  };
  return state.postgres.folder;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

function secondsOf(run: Measurement): number {
  return Number(run.result.seconds);
}

function show(runs: Measurement[]): string {
  return `${secondsOf(runs.at(-1)!).toFixed(2)} s`;
}

function print(): void {
  const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
  const line = (name: string, runs: Measurement[]): Record<string, string | number> => {
    const { result } = runs.at(-1)!;
    const database = (result.database ?? {}) as { stagedBytes?: number };
    return {
      '': name,
      'wall s': median(runs.map(secondsOf)).toFixed(2),
      'whole process s': median(runs.map((run) => run.wallSeconds)).toFixed(2),
      'CPU s': median(runs.map((run) => run.cpuSeconds)).toFixed(2),
      requests: Number(result.requests),
      read: megabytes(Number(result.bytes)),
      'database written': megabytes(database.stagedBytes ?? 0),
      'peak memory': megabytes(Math.max(...runs.map((run) => run.peakBytes))),
      'wall / floor': median(runs.map((run, round) => secondsOf(run) / secondsOf(floors[round]!))).toFixed(2),
      'process / floor': median(
        runs.map((run, round) => run.wallSeconds / floors[round]!.wallSeconds),
      ).toFixed(2),
    };
  };
  console.table([
    line('floor', floors),
    line('first sync', firsts),
    line('idle sync', idles),
    line('command, first sync', commandFirsts),
    line('command, idle sync', commandIdles),
    line('first sync into PostgreSQL', postgresFirsts),
    line('idle sync into PostgreSQL', postgresIdles),
  ]);
  console.table(
    (stages.result.stages as { stage: string; seconds: number; limit: number; of: string }[]).map(
      ({ stage, seconds, limit, of }) => ({
        'first sync': stage,
        'CPU s': seconds.toFixed(2),
        limit: limit.toFixed(2),
        'of the limit': of,
      }),
    ),
  );
}

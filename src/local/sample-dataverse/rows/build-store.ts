import { readFileSync } from 'node:fs';
import { readCsdl } from '../metadata/csdl-reader.ts';
import type { Model } from '../metadata/model.ts';
import { stringMap } from '../metadata/string-map.ts';
import type { SampleDataverseOptions } from '../options.ts';
import { type SampleModel, sampleModel } from '../sample-data/sample-model.ts';
import { RowPlan } from './row-plan.ts';
import { Store } from './store.ts';

const defaultRows = 20_000;
/** Above the versions of rows in earlier releases, so that a mirror of those reads all rows again. */
const defaultFirstVersion = 75_000_000n;
/** Each table of a real document has this share of the rows, unless the options name the tables. */
const documentShare = 1 / 20;

/** Builds the model and the rows, of the sample or for a real document. */
export function buildStore(options: SampleDataverseOptions): { store: Store; document: Buffer | undefined } {
  const clock = options.clock ?? (() => new Date());
  const document = options.metadata === undefined ? undefined : readFileSync(options.metadata);
  const { model, counts, generators } =
    document === undefined ? sampleTables(options) : documentTables(readCsdl(document), options);
  let next = options.firstVersion ?? defaultFirstVersion;
  const firstVersions = new Map<string, bigint>();
  for (const [name, count] of counts) {
    firstVersions.set(name, next);
    next += BigInt(count);
  }
  const plan = new RowPlan({
    seed: options.seed ?? 1,
    counts,
    firstVersions,
    lazy: document !== undefined && options.tables === undefined,
    rowBytes: options.rowBytes,
    hostileValues: options.hostileValues ?? true,
    now: clock(),
    generators,
  });
  return { store: new Store(model, plan, next, clock), document };
}

type Tables = Pick<SampleModel, 'model' | 'generators'> & { counts: Map<string, number> };

function sampleTables(options: SampleDataverseOptions): Tables {
  const { model, weights, mostRows, generators } = sampleModel({
    campaignMetrics: options.campaignMetrics ?? true,
  });
  const wanted = options.tables ?? [...weights.keys()];
  for (const name of wanted) model.byName(name);
  const shares = new Map(wanted.map((name) => [name, weights.get(name) ?? 0]));
  // The row of the organization is not counted.
  const counts = shareRows(model, shares, options.rows ?? defaultRows, mostRows).set('organization', 1);
  return { model, counts, generators };
}

function documentTables(model: Model, options: SampleDataverseOptions): Tables {
  track(model, options.tracked ?? []);
  const rows = options.rows ?? defaultRows;
  const generators: Tables['generators'] = new Map();
  if (options.tables !== undefined) {
    for (const name of options.tables) model.byName(name);
    const shares = new Map(options.tables.map((name) => [name, 1]));
    return { model, counts: shareRows(model, shares, rows), generators };
  }
  const each = Math.ceil(rows * documentShare);
  const counts = new Map<string, number>();
  for (const table of model.tables.values()) {
    if (table.entitySetName !== undefined && table.logicalName !== stringMap)
      counts.set(table.logicalName, capped(model, table.logicalName, each, counts));
  }
  return { model, counts, generators };
}

function track(model: Model, tracked: string[] | 'all'): void {
  if (tracked !== 'all') for (const name of tracked) model.byName(name).changeTracking = true;
  else for (const table of model.tables.values()) table.changeTracking = true;
  for (const table of model.tables.values()) {
    if (table.intersect?.ends.every((end) => model.tables.get(end.table)?.changeTracking))
      table.changeTracking = true;
  }
}

/** Distributes rows by weight. The table with the greatest weight takes the remainder, so that the sum is exact. */
function shareRows(
  model: Model,
  weights: ReadonlyMap<string, number>,
  rows: number,
  mostRows: ReadonlyMap<string, number> = new Map(),
): Map<string, number> {
  const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0);
  const counts = new Map<string, number>();
  let left = rows;
  for (const [name, weight] of weights) {
    const share = Math.min(
      left,
      mostRows.get(name) ?? rows,
      Math.max(weight > 0 && rows >= weights.size ? 1 : 0, Math.floor((rows * weight) / total)),
    );
    counts.set(name, capped(model, name, share, counts));
    left -= counts.get(name)!;
  }
  const heaviest = [...weights]
    .filter(([name]) => model.byName(name).intersect === undefined)
    .sort(([, a], [, b]) => b - a)[0]?.[0];
  if (heaviest !== undefined) counts.set(heaviest, counts.get(heaviest)! + left);
  return counts;
}

/** An N:N table cannot have more rows than its ends have pairs. */
function capped(model: Model, name: string, count: number, counts: ReadonlyMap<string, number>): number {
  const ends = model.byName(name).intersect?.ends;
  if (ends === undefined) return count;
  return Math.min(count, (counts.get(ends[0].table) ?? 0) * (counts.get(ends[1].table) ?? 0));
}

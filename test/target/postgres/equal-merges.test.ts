import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TableConfig } from '../../../src/config/entities.ts';
import { postgresAddress } from '../../../src/config/postgres/postgres-address.ts';
import type { Table } from '../../../src/schema/table.ts';
import { Shard } from '../../../src/sqlite/shard.ts';
import { loadSqlite } from '../../../src/sqlite/sqlite.ts';
import { rowVersion } from '../../../src/sync/fetch/row-version.ts';
import { mirrorTable } from '../../../src/target/common/mirror-table.ts';
import type { MergeOptions, MirrorTarget, TableMerge } from '../../../src/target/mirror-target.ts';
import { PostgresMirror } from '../../../src/target/postgres/postgres-mirror.ts';
import { createCluster } from '../../citus.ts';
import { isLong } from '../../long.ts';
import { startPostgres, withClient } from '../../postgres.ts';
import { column, table } from '../../schema/tables.ts';
import { DiskFile, openLarge } from '../sqlite/large-mirror.ts';

/** A database of PostgreSQL. */
interface Place {
  address: string;
  distributeRows?: number;
}

const sqlite = await loadSqlite();
const folder = mkdtempSync(join(tmpdir(), 'equal-merges-'));
let onePlace: Place;
let cluster: Place;

beforeAll(async () => {
  onePlace = { address: await (await startPostgres()).createDatabase() };
  // Shards have up to eight rows: most tables are on every node first, and distributed later.
  cluster = { address: await createCluster(), distributeRows: 4 };
});
afterAll(() => rmSync(folder, { recursive: true }));

const plain = table(
  'thing',
  [
    column('name', 'text'),
    column('amount', 'integer', 'Edm.Int32'),
    column('versionnumber', 'integer', 'Edm.Int64'),
  ],
  { versionColumn: 'versionnumber' },
);
const marked = mirrorTable(plain, { name: 'thing', deletes: 'mark' } as TableConfig);

/** So few that shards meet each other's rows. */
const ids = Array.from({ length: 9 }, (_, n) => `00000000-0000-4000-8000-00000000000${n}`);
const id = fc.constantFrom(...ids);

interface Row {
  id: string;
  version: number;
  name: string | null;
  amount: number | null;
}

const row = fc.record<Row>({
  id,
  version: fc.integer({ min: 1, max: 4 }),
  name: fc.constantFrom('one', 'two', null),
  amount: fc.constantFrom(1, null),
});
const shard = fc.record({
  rows: fc.array(row, { maxLength: 8 }),
  deleted: fc.array(fc.oneof(id, fc.constant('not a key')), { maxLength: 3 }),
  keys: fc.option(fc.array(row, { maxLength: 8 }), { nil: undefined }),
  isFinal: fc.boolean(),
});
const merge = fc.record({
  shards: fc.array(shard, { minLength: 1, maxLength: 3 }),
  isComplete: fc.boolean(),
  comparedKeys: fc.oneof(
    fc.constant(undefined),
    fc.constant('all' as const),
    fc.uniqueArray(id, { maxLength: 5 }),
  ),
  massDeleteLimit: fc.constantFrom(1, 0.3),
});
const life = fc.record({
  merges: fc.array(merge, { minLength: 1, maxLength: 4 }),
  isMarked: fc.boolean(),
  history: fc.boolean(),
});
type Life = typeof life extends fc.Arbitrary<infer T> ? T : never;

function bytesOf({ columns, primaryKey }: Table, one: Life['merges'][number]['shards'][number]): Uint8Array {
  const file = Shard.create(sqlite);
  const write = (name: string, rows: readonly Row[], of: Table['columns']) => {
    const options = {
      columns: of.filter(({ property }) => property !== undefined),
      primaryKey,
      version: rowVersion,
    };
    const records = rows.map(({ id, version, ...values }) =>
      JSON.stringify({ '@odata.etag': `W/"${version}"`, thingid: id, versionnumber: version, ...values }),
    );
    const body = Buffer.from(records.join());
    file.recordWriter(name, options).write(body, 0, body.length);
  };
  write('rows', one.rows, columns);
  if (one.keys !== undefined)
    write(
      'keys',
      one.keys,
      columns.filter(({ name }) => name !== 'amount'),
    );
  file.addDeleted(one.deleted);
  const bytes = new Uint8Array(file.export());
  file.close();
  return bytes;
}

/** What each merge reported, and what the mirror contains in the end. */
interface Outcome {
  merges: unknown[];
  rows: unknown[];
  deleted: unknown[];
  versions: unknown[];
}

const figures = ({ table: _, notes: __, schemaChanges: ___, outdatedIds, ...counts }: TableMerge) => ({
  ...counts,
  outdatedIds: outdatedIds.toSorted(),
});

/** @param stages whether a shard is staged, by its number */
async function mergeAll(
  mirror: MirrorTarget,
  { merges, isMarked, history }: Life,
  stages: (n: number) => boolean,
): Promise<unknown[]> {
  const model = isMarked ? marked : plain;
  const outcomes: unknown[] = [];
  for (const [n, { shards, ...rest }] of merges.entries()) {
    const at = new Date(Date.UTC(2026, 10, 26, n)).toISOString();
    const runId = `run-${n}`;
    const parts = await Promise.all(
      shards.map(async (one, index) => {
        const bytes = bytesOf(model, one);
        const name = `${runId}/${index}`;
        if (stages(n + index))
          await mirror.stageShard!({ runId, table: model, name, bytes: new Uint8Array(bytes) });
        return { name, read: async () => new Uint8Array(bytes), isFinal: one.isFinal };
      }),
    );
    const loaded = await mirror.loadState();
    const options = { loaded, runId, at, synced: [model], incomingBytes: 0 };
    await mirror.transaction(options, async (transaction) => {
      const known = transaction.state.entities['thing'];
      const startHistory = history && known === undefined;
      const merged = await transaction.mergeTable(model, parts, {
        ...rest,
        history,
        startHistory,
      } as MergeOptions);
      outcomes.push(figures(merged));
      transaction.state.entities['thing'] = {
        ...{
          table: merged.table,
          strategy: 'delta',
          rows: merged.rows,
          runsSinceSweep: 0,
          syncedAt: at,
          history,
        },
      };
      transaction.state.configured = ['thing'];
      await transaction.commit({ outcome: { runId } });
    });
    await mirror.dropStaged?.(runId, 'own');
    await mirror.arrange?.();
  }
  return outcomes;
}

const rowsSql = 'SELECT thingid, name, amount, versionnumber FROM things ORDER BY 1';
const markedSql = 'SELECT thingid FROM things WHERE _deleted_at IS NOT NULL ORDER BY 1';
const deletedSql = 'SELECT id, run_id FROM _sync_deleted ORDER BY 1';
const versionsSql =
  'SELECT thingid, name, amount, versionnumber, valid_to IS NULL AS current FROM things_history ORDER BY 1, 2, 3, 4, 5, valid_from';

const order = (rows: unknown[]): string[] => rows.map((one) => JSON.stringify(one)).sort();

/** @param distributeRows tables with as many rows are distributed over a cluster */
async function inPostgres(
  one: Life,
  stages: (n: number) => boolean,
  { address, distributeRows }: Place,
): Promise<Outcome> {
  const schema = `m${randomUUID().replaceAll('-', '')}`;
  const mirror = new PostgresMirror({
    sqlite,
    connection: { ...postgresAddress(address), schema },
    distributeRows,
    stagedBytes: 0,
  });
  try {
    const merges = await mergeAll(mirror, one, stages);
    return await withClient(address, async (client) => {
      await client.query(`SET search_path = ${schema}`);
      const all = async (sql: string) => {
        const { rows } = await client.query({
          text: sql,
          rowMode: 'array',
          types: { getTypeParser: () => String } as never,
        });
        return order(
          rows.map((values: unknown[]) => values.map((value) => (value === null ? null : String(value)))),
        );
      };
      return {
        merges,
        rows: [await all(rowsSql), one.isMarked ? await all(markedSql) : []],
        deleted: await all(deletedSql),
        versions: one.history
          ? await all(versionsSql.replace('valid_to IS NULL', '(valid_to IS NULL)::integer'))
          : [],
      };
    });
  } finally {
    await mirror.close();
    await withClient(address, (client) =>
      client.query(
        `DROP SCHEMA IF EXISTS ${schema} CASCADE; DROP SCHEMA IF EXISTS ${schema}_sync_staging CASCADE`,
      ),
    );
  }
}

async function inSqlite(one: Life): Promise<Outcome> {
  const path = join(folder, `${randomUUID()}.db`);
  const mirror = openLarge(sqlite, new DiskFile(path), 1e9);
  const merges = await mergeAll(mirror, one, () => false);
  await mirror.close();
  const db = new DatabaseSync(path, { readOnly: true });
  const all = (sql: string) =>
    order(
      db
        .prepare(sql)
        .all()
        .map((found) => Object.values(found).map((value) => (value === null ? null : String(value)))),
    );
  const outcome = {
    merges,
    rows: [all(rowsSql), one.isMarked ? all(markedSql) : []],
    deleted: all(deletedSql),
    versions: one.history ? all(versionsSql) : [],
  };
  db.close();
  rmSync(path);
  return outcome;
}

it('merges of any shards, staged or not, on a cluster or not, do the same as in SQLite', {
  timeout: isLong ? 3_600_000 : 180_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(life, async (one) => {
      const expected = await inSqlite(one);
      for (const stages of [() => false, () => true, (n: number) => n % 2 === 0]) {
        expect(await inPostgres(one, stages, onePlace)).toEqual(expected);
      }
      expect(await inPostgres(one, (n) => n % 2 === 0, cluster)).toEqual(expected);
    }),
    { numRuns: isLong ? 500 : 6 },
  );
});

import { expect, test } from 'vitest';
import type { RowValues } from '../../src/local/sample-dataverse/index.ts';
import type { TableReport } from '../../src/sync/documents/report.ts';
import type { CheckOptions } from '../../src/target/mirror-check.ts';
import { createCluster } from '../citus.ts';
import { startPostgres } from '../postgres.ts';
import { startPostgresProxy } from '../postgres-proxy.ts';
import { Organisation } from '../sync/organisation.ts';
import { addColumn, dropColumn, dropTable } from '../sync/schema-drift.ts';
import { withDatabase } from '../sync/truth.ts';
import { isDocumented, StatementShapes } from './postgres/statement-shapes.ts';

const entities = [
  { name: 'account', history: true, rawJson: true },
  { name: 'contact', filtered: true, history: true },
  { name: 'lead', deletes: 'mark', strategy: 'modifiedon' },
  { name: 'task', deletes: 'mark', history: true, strategy: 'full' },
  'accountleads',
];

/** What a target did with the same organisation: the reports of the runs, and all tables with what they contain. */
interface Outcome {
  reports: unknown[];
  tables: Record<string, unknown[]>;
}

/** The figures that depend on the target alone. */
function figuresOf(report: TableReport): Partial<TableReport> {
  const { name, table, strategy, state, reason, reread, rows, added, updated, deleted, unchanged } = report;
  const { verified, corrected, heldBack, error, hint } = report;
  return {
    ...{ name, table, strategy, state, reason, reread, rows, added, updated, deleted, unchanged },
    ...{ verified, corrected, heldBack, error, hint },
  } as Partial<TableReport>;
}

/** Everything that a merge can meet, in runs of one organisation. */
async function live(postgres?: string, distributeRows?: number): Promise<Outcome> {
  const org = await Organisation.start(entities, { seed: 7 }, {}, undefined, postgres, distributeRows);
  const { store } = org;
  const reports: unknown[] = [];
  const sync = async (options: Parameters<Organisation['sync']>[0] = {}): Promise<void> => {
    const status = await org.sync(options);
    reports.push(status.entities.map(figuresOf));
  };
  let created = 0;
  /** The same ids in each organisation. */
  const rows = (name: string, count: number, values: (index: number) => RowValues = () => ({})): string[] =>
    org.rows(name, count, (index) => {
      created += 1;
      const id = `00000000-0000-4000-8000-${String(created).padStart(12, '0')}`;
      return { ...values(index), [store.table(name).primaryId]: id };
    });
  const ids = (name: string) => [...store.rowsOf(store.table(name)).all()].map(({ id }) => id);
  try {
    const contacts = rows('contact', 6, (n) => ({ firstname: `first ${n}` }));
    rows('account', 30, (n) => ({
      name: `account ${n}`,
      _primarycontactid_value: { id: contacts[n % 4]!, table: 'contact' },
    }));
    rows('lead', 25, (n) => ({
      subject: `lead ${n}`,
      _customerid_value: { id: contacts[5]!, table: 'contact' },
    }));
    rows('task', 4, (n) => ({ subject: `task ${n}` }));
    store.associate('accountleads', ids('account')[0]!, ids('lead')[0]!);
    await sync();
    // Changes, deletes, and rows that come back.
    const [first, second, third] = ids('account');
    store.update('account', first!, {
      name: 'changed',
      _primarycontactid_value: { id: contacts[4]!, table: 'contact' },
    });
    store.delete('account', second!);
    store.delete('lead', ids('lead')[3]!);
    const task = ids('task')[0]!;
    store.delete('task', task);
    await sync();
    store.create('account', { accountid: second!, name: 'back' });
    store.create('task', { activityid: task, subject: 'back' });
    // Without a tombstone.
    store.removeRow(store.table('account'), third!);
    store.disassociate('accountleads', ids('account')[0]!, ids('lead')[0]!);
    // All tables are verified once a day.
    org.clock.now += 25 * 3_600_000;
    await sync();
    // More deletes than the limit allows, then with permission.
    for (const id of ids('account').slice(10)) store.delete('account', id);
    for (const id of ids('lead').slice(4)) store.delete('lead', id);
    await sync();
    await sync({ allowMassDelete: ['account', 'lead'] });
    // The schema changes, a history ends and begins, and a table goes.
    addColumn(store, 'account', 'new_text', 'text', () => 'new');
    dropColumn(store, 'contact', 'jobtitle');
    await sync();
    org.harness.configure([{ name: 'account', deletes: 'mark' }, ...entities.slice(1)]);
    store.update('account', ids('account')[1]!, { name: 'no history of it' });
    await sync();
    org.harness.configure(entities);
    await sync();
    dropTable(store, 'task');
    await sync();
    org.harness.configure(entities.filter((one) => one !== 'accountleads'));
    await sync({ dropTables: ['accountleads'] });
    // An idle run, and one from another state of the environment.
    await sync();
    const backup = store.backup();
    rows('account', 3);
    await sync();
    store.restore(backup);
    await sync();
    const { mirror } = org.harness.services;
    await mirror.findDangling();
    await mirror.checkStep(undefined, { isTimeOver: () => false } as CheckOptions);
    return { reports, tables: contentsOf(await org.harness.databaseBytes()) };
  } finally {
    await org.stop();
  }
}

/** Columns and tables that only one of the targets has, or that have the names and times of runs. */
const notCompared =
  /^(?:_sync_state|_sync_meta|_sync_log|_sync_names|_sync_views|_files|rows of .*|sqlite_.*)$/;
const ownColumns = ['run_id', 'place'];

function contentsOf(bytes: Buffer): Record<string, unknown[]> {
  return withDatabase(bytes, (db) => {
    const names = db
      .prepare("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name")
      .all()
      .map(({ name }) => String(name))
      .filter((name) => !notCompared.test(name));
    return Object.fromEntries(
      names.map((name) => {
        const rows = db.prepare(`SELECT * FROM "${name}"`).all();
        const texts = rows.map((row) => {
          const compared = Object.entries(row).filter(([column]) => !ownColumns.includes(column));
          const values = compared.map(([column, value]) => [column, comparable(column, value)]);
          return JSON.stringify(values.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)));
        });
        return [name, texts.sort()];
      }),
    );
  });
}

/** Decimals are rounded in SQLite, and members of JSON have an order there. */
function comparable(column: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (typeof value === 'string' && column !== '_json' && value.startsWith('{'))
    return sorted(JSON.parse(value));
  return value;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([name, one]) => [name, sorted(one)] as const);
  return Object.fromEntries(members.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Views of a cluster have no names of rows in distributed tables. */
function withoutNames(row: unknown): string {
  const values = JSON.parse(row as string) as [string, unknown][];
  return JSON.stringify(values.filter(([column]) => !/^_.*_name$/.test(column)));
}

test('every target does the same with the same organisation', async () => {
  const sqlite = await live();
  const proxy = await startPostgresProxy(await createCluster());
  const shapes = new StatementShapes('mirror');
  proxy.onStatement = (sql) => void shapes.add(sql);
  const others = [await live(await (await startPostgres()).createDatabase()), await live(proxy.address, 20)];
  for (const { reports, tables } of others) {
    expect(reports).toEqual(sqlite.reports);
    expect(Object.keys(tables)).toEqual(Object.keys(sqlite.tables));
    const isCluster = tables === others[1]!.tables;
    for (const [name, rows] of Object.entries(sqlite.tables)) {
      const compared = isCluster && name.endsWith('_labelled') ? withoutNames : (one: unknown) => one;
      expect(tables[name]!.map(compared), name).toEqual(rows.map(compared));
    }
  }
  await proxy.stop();
  expect([...shapes.found].filter((shape) => !isDocumented(shape))).toEqual([]);
  // The runs did meet it all.
  const all = JSON.stringify(sqlite.reports);
  for (const seen of ['"heldBack":', '"verified":', '"reread":', 'moved back']) expect(all).toContain(seen);
});

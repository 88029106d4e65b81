import { afterAll, beforeAll, expect, test } from 'vitest';
import { postgresAddress } from '../../../src/config/postgres/postgres-address.ts';
import { ConfigurationError } from '../../../src/errors.ts';
import type { Table } from '../../../src/schema/table.ts';
import { createBookkeeping } from '../../../src/target/postgres/bookkeeping/bookkeeping-tables.ts';
import { claimMirror } from '../../../src/target/postgres/bookkeeping/claim-mirror.ts';
import { writeState } from '../../../src/target/postgres/bookkeeping/stored-state.ts';
import { prune, writeLog } from '../../../src/target/postgres/bookkeeping/sync-log.ts';
import { recordChange, writeNames } from '../../../src/target/postgres/bookkeeping/table-lists.ts';
import { Connections } from '../../../src/target/postgres/connection/connections.ts';
import type { Session } from '../../../src/target/postgres/connection/session.ts';
import { writeLabels } from '../../../src/target/postgres/labels/choices.ts';
import { emptyState, type SyncLogRow } from '../../../src/target/state.ts';
import { startPostgres } from '../../postgres.ts';

let connections: Connections;

beforeAll(async () => {
  const address = await (await startPostgres()).createDatabase();
  connections = new Connections({ ...postgresAddress(address), schema: 'mirror' });
});
afterAll(() => connections.close());

/** Rolls back afterwards. */
const within = <T>(work: (session: Session) => Promise<T>): Promise<T> =>
  connections.write(async (session) => {
    await createBookkeeping(session);
    return work(session);
  });

const at = '2026-11-21T02:00:00Z';
/** An escaped backslash before what looks like an escape, the character 0, and halves of pairs. */
const hostile = 'C:\\u0000\\ud800 "x\0y" \ud83d\\';
const repaired = 'C:\\u0000\\ud800 "xy" \ufffd\\';

function logRow(values: Partial<SyncLogRow>): SyncLogRow {
  return {
    ...{ runId: 'run', round: 1, name: 'account', state: 'merged', strategy: 'full', seconds: 1 },
    ...{ rowsRead: 0, added: 0, updated: 0, deleted: 0, unchanged: 0, pages: 0, requests: 0, retries: 0 },
    ...{ bytes: 0, throttled: 0, waitedSeconds: 0, wireBytes: 0, startedAt: at, finishedAt: at },
    ...values,
  } as SyncLogRow;
}

const table: Table = {
  ...{ logicalName: 'account', name: 'accounts', primaryKey: 'accountid', changeTracking: true },
  columns: [
    { name: 'accountid', property: 'accountid', edmType: 'Edm.Guid', reading: 'guid' },
    { name: 'code', property: 'code', edmType: 'Edm.Int32', reading: 'integer' },
  ] as Table['columns'],
  ...{ foreignKeys: [], intersect: false },
};

test('a text of the log that PostgreSQL cannot store is stored as it can be', async () => {
  const [row] = await within(async (session) => {
    await writeLog(session, [logRow({ error: hostile, hint: hostile, reason: '\0' })]);
    return session.all('SELECT error, hint, reason FROM mirror._sync_log');
  });
  expect(row).toEqual({ error: repaired, hint: repaired, reason: '' });
});

test('so are texts of the state and of changes of the schema', async () => {
  const found = await within(async (session) => {
    const own = { strategy: 'full', rows: 0, syncedAt: at, deltaLink: hostile } as const;
    const state = { ...emptyState(), entities: { account: { ...own, table } } };
    await writeState(session, state as never, hostile);
    await writeState(session, { ...state, pendingLog: [logRow({ error: hostile })] } as never, hostile);
    await recordChange(session, { runId: hostile, at }, 'accounts', { change: 'x', detail: hostile });
    await writeNames(session, [{ ...table, entitySet: hostile }]);
    return [
      await session.get('SELECT delta_link AS text, last_run AS run FROM mirror._sync_state'),
      await session.get('SELECT detail AS text, run_id AS run FROM mirror._sync_schema_changes'),
      await session.get(`SELECT name AS text FROM mirror._sync_names WHERE stored_name = 'accounts'`),
    ];
  });
  expect(found).toEqual([
    { text: repaired, run: repaired },
    { text: repaired, run: repaired },
    { text: repaired },
  ]);
});

test('and labels and names; a label of a value that no choice can have is left out', async () => {
  const choice = { table: 'account', column: 'code', value: 1, label: hostile, language: 1033 };
  const others = [1.5, 2 ** 31, -(2 ** 31) - 1].map((value) => ({ ...choice, value }));
  const labels = {
    choices: [choice, ...others, { ...choice, language: 0.5 }],
    names: [{ table: 'account', displayName: hostile, columns: [{ column: 'code', description: hostile }] }],
  };
  const found = await within(async (session) => {
    await session.run('CREATE TABLE mirror.accounts (accountid uuid PRIMARY KEY, code integer)');
    await writeLabels(session, [table], 'digest', async () => labels);
    return [
      await session.all('SELECT value, label FROM mirror._choices'),
      await session.all('SELECT display_name FROM mirror._sync_tables'),
      await session.all('SELECT column_name, description FROM mirror._sync_columns'),
      await session.all(`SELECT obj_description('mirror.accounts'::regclass) AS comment`),
    ];
  });
  expect(found).toEqual([
    [{ value: '1', label: repaired }],
    [{ display_name: repaired }],
    [{ column_name: 'code', description: repaired }],
    [{ comment: repaired }],
  ]);
});

test('the oldest tombstones go, and the limit costs the same however many there are', async () => {
  const { ids, read } = await within(async (session) => {
    await session.run(
      `INSERT INTO mirror._sync_deleted (table_name, id, deleted_at, run_id, place) OVERRIDING SYSTEM VALUE
       SELECT 'accounts', 'id ' || n, $1::timestamptz, 'run', n + CASE WHEN n > 2 THEN 1000000 - 30000 ELSE 0 END
       FROM generate_series(1, 30002) n`,
      [at],
    );
    await session.run('ANALYZE mirror._sync_deleted');
    const scanned = () =>
      session.number(
        `SELECT seq_tup_read AS n FROM pg_stat_xact_user_tables WHERE relid = 'mirror._sync_deleted'::regclass`,
      );
    const before = await scanned();
    await prune(session, at);
    const read = (await scanned()) - before;
    return { ids: await session.all('SELECT id FROM mirror._sync_deleted ORDER BY place LIMIT 1'), read };
  });
  expect({ ids, read }).toEqual({ ids: [{ id: 'id 3' }], read: 0 });
});

test('names of many columns take a few statements', async () => {
  const count = 450;
  const columns = Array.from({ length: count }, (_, n) => ({
    ...table.columns[1]!,
    name: `c${n}`,
    property: `c${n}`,
  }));
  const wide = { ...table, columns: [table.columns[0]!, ...columns] };
  const namesOf = (prefix: string) => ({
    choices: [],
    names: [
      {
        table: 'account',
        displayName: "O'Neill; DROP TABLE mirror.accounts; --",
        columns: columns.map(({ name }) => ({ column: name, displayName: `${prefix}'\\${name}` })),
      },
    ],
  });
  const { first, second, statements, comments, last } = await within(async (session) => {
    const definitions = columns.map(({ name }) => `${name} integer`);
    await session.run(`CREATE TABLE mirror.accounts (accountid uuid PRIMARY KEY, ${definitions.join()})`);
    let statements = 0;
    const counted = new Proxy(session, {
      get: (target, name) => {
        const value = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        if (['all', 'run', 'get'].includes(String(name))) statements += 1;
        return value.bind(target);
      },
    });
    const first = await writeLabels(counted, [wide], 'one', async () => namesOf('a'));
    const comments = await session.all(
      `SELECT count(*) AS n, min(col_description(attrelid, attnum)) AS least FROM pg_attribute
       WHERE attrelid = 'mirror.accounts'::regclass AND col_description(attrelid, attnum) IS NOT NULL`,
    );
    const taken = statements;
    const narrow = { ...wide, columns: wide.columns.slice(0, 3) };
    const second = await writeLabels(session, [narrow], 'two', async () => namesOf('b'));
    const last = await session.all('SELECT column_name, display_name FROM mirror._sync_columns ORDER BY 1');
    return { first, second, statements: taken, comments, last };
  });
  expect({ first, second, comments, last }).toEqual({
    ...{ first: true, second: true },
    comments: [{ n: String(count), least: "a'\\c0" }],
    last: ['c0', 'c1'].map((name) => ({ column_name: name, display_name: `b'\\${name}` })),
  });
  expect(statements).toBeLessThan(40);
});

test('a mirror is that of one app, until its owner says otherwise', async () => {
  await within(async (session) => {
    await claimMirror(session, 'first');
    await claimMirror(session, 'first');
    const error = await claimMirror(session, 'second').catch((one) => one);
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(error.message).toContain('that of the app first, not of second');
    await session.run(/run: (DELETE .*);$/.exec(error.hint)![1]!);
    await claimMirror(session, 'second');
  });
});

import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { Shard } from '../../../src/sqlite/shard.ts';
import { fetchSlice } from '../../../src/sync/fetch/fetch-slice.ts';
import { addressIn, startPostgres, withClient } from '../../postgres.ts';
import { type PostgresProxy, startPostgresProxy } from '../../postgres-proxy.ts';
import { type OwnPostgres, startOwnPostgres } from '../../shared-postgres.ts';
import { Organisation, reportOf } from '../../sync/organisation.ts';

/** Slices of one page each. */
const settings = { DATAVERSE_PAGE_SIZE: '20', SYNC_SLICE_MB: '0.001', SYNC_MASS_DELETE_LIMIT: '1' };

let org: Organisation;
let proxy: PostgresProxy;
let address: string;
let server: OwnPostgres | undefined;
/** What rows were copied into: `staging` ahead of the merge, or `merge`. */
let copies: string[];

async function start(entities: unknown[] = ['account', 'lead']): Promise<void> {
  address = server === undefined ? await (await startPostgres()).createDatabase() : addressIn(server.folder);
  proxy = await startPostgresProxy(address);
  org = await Organisation.start(entities, {}, settings, undefined, proxy.address);
  org.harness.stages = () => true;
  watch();
}

/** @param cut whether to cut the connection before the end of the n-th COPY into a staging table */
function watch(cut: (n: number) => boolean = () => false): void {
  copies = [];
  let into = '';
  proxy.onStatement = (sql) => {
    if (sql === '' && into === 'staging' && cut(copies.length)) return 'before';
    into = /^COPY "mirror_sync_staging"/.test(sql) ? 'staging' : /^COPY pg_temp/.test(sql) ? 'merge' : '';
    if (into !== '') copies.push(into);
    return undefined;
  };
}

afterEach(async () => {
  await org.stop();
  await proxy.stop();
  await server?.stop();
  server = undefined;
});

const query = <T = Record<string, unknown>>(sql: string): Promise<T[]> =>
  withClient(address, async (client) => (await client.query(sql)).rows as T[]);

const stagingTables = async (): Promise<string[]> =>
  (
    await query<{ name: string }>(
      `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = 'mirror_sync_staging' AND c.relkind = 'r' AND c.relname <> '_sync_staged'`,
    )
  ).map(({ name }) => name);

const warnings = (): string[] =>
  org.harness.log
    .filter(({ message }) => /loaded with the merge/.test(message))
    .map(({ message }) => message);

/** Starts a run and delivers messages until a merge is requested. */
async function fetchAll(options = {}): Promise<void> {
  org.clock.now += 60_000;
  const { services } = org.harness;
  const send = services.sendMerge;
  let isRequested = false;
  services.sendMerge = async (message, seconds) => {
    if (message.early !== true) isRequested = true;
    await send(message, seconds);
  };
  await org.harness.start(options);
  while (!isRequested) await org.harness.deliver();
  services.sendMerge = send;
}

const everything = { reread: ['account', 'lead'] };

describe('shards that reach the server before the merge', () => {
  it('are merged from there, and leave nothing', async () => {
    await start([{ name: 'account', history: true }, 'lead']);
    org.rows('account', 70, (n) => ({ name: `account ${n}` }));
    org.rows('lead', 30);
    await fetchAll();
    expect((await stagingTables()).length).toBeGreaterThanOrEqual(6);
    // Readers of the mirror do not see them.
    const names = await query<{ name: string }>(
      `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'mirror'`,
    );
    expect(names.filter(({ name }) => /staged|_rows$/.test(name))).toEqual([]);
    await org.harness.drain();
    expect(new Set(copies)).toEqual(new Set(['staging']));
    await org.expectMirror('account', 'lead');
    expect(await stagingTables()).toEqual([]);
    expect(await query('SELECT * FROM mirror_sync_staging._sync_staged')).toEqual([]);
    const persistence = await query(`SELECT DISTINCT relpersistence AS p FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'mirror_sync_staging' AND c.relkind = 'r'`);
    expect(persistence).toEqual([{ p: 'u' }]);
    await org.expectIdle();
  });

  it('report values that cannot be stored once, in whatever way each shard came', async () => {
    await start();
    org.harness.stages = (n) => n % 2 === 0;
    org.rows('account', 80, (n) => ({ name: n % 20 === 3 ? 'a\0b' : `account ${n}`, description: null }));
    const report = reportOf(await org.sync(), 'account');
    expect(new Set(copies)).toEqual(new Set(['staging', 'merge']));
    const note = 'PostgreSQL cannot store some characters of 4 values of name: they were left out';
    expect(report.reason!.split(note)).toHaveLength(2);
    expect(report.reason!.match(/cannot store/g)).toHaveLength(1);
  });

  it('are read again with their keys when all rows are compared', async () => {
    await start();
    const ids = org.rows('account', 70, (n) => ({ name: `account ${n}` }));
    await org.sync();
    await query(`UPDATE mirror.accounts SET name = 'other' WHERE accountid = '${ids[3]}'`);
    await query(`DELETE FROM mirror.accounts WHERE accountid = '${ids[4]}'`);
    org.store.removeRow(org.store.table('account'), ids[5]!);
    watch();
    await org.sync(everything);
    expect(new Set(copies)).toEqual(new Set(['staging']));
    await org.expectMirror('account', 'lead');
  });
});

describe('what goes wrong around the staging', () => {
  it('a process that ends between it and the merge loses nothing', async () => {
    await start();
    org.rows('account', 70);
    await fetchAll();
    org.harness.restarted();
    await org.harness.drain();
    expect(copies).not.toContain('merge');
    await org.expectMirror('account', 'lead');
    expect(await stagingTables()).toEqual([]);
  });

  it('a connection that is lost in a COPY is noted once, and the merge loads the shards', async () => {
    await start();
    org.rows('account', 100);
    watch((n) => n % 2 === 0);
    await org.sync();
    expect(warnings()).toHaveLength(1);
    expect(copies).toContain('merge');
    await org.expectMirror('account', 'lead');
    expect(await stagingTables()).toEqual([]);
  });

  it('a server that refuses it is asked once in a run, and the merge goes on', async () => {
    await start();
    await query(
      'CREATE SCHEMA mirror_sync_staging; CREATE TABLE mirror_sync_staging._sync_staged (n integer)',
    );
    org.rows('account', 100);
    await org.sync();
    expect(warnings()).toHaveLength(1);
    expect(copies.filter((one) => one === 'staging')).toHaveLength(1);
    await org.expectMirror('account', 'lead');
  });

  it('a schema that changes after it is that of the merge', async () => {
    await start();
    org.rows('account', 70, (n) => ({ numberofemployees: n }));
    await org.sync();
    watch();
    await fetchAll(everything);
    expect(copies).not.toContain('merge');
    await query(`DROP VIEW mirror.accounts_labelled;
      ALTER TABLE mirror.accounts ALTER COLUMN numberofemployees TYPE bigint`);
    await org.harness.drain();
    expect(copies).toContain('merge');
    await org.expectMirror('account', 'lead');
    watch();
    await org.sync(everything);
    // The wider type stays.
    expect(copies).not.toContain('merge');
    await org.expectMirror('account', 'lead');
  });

  it('two attempts at the same slice do not mix', async () => {
    await start();
    org.rows('account', 15);
    const { services } = org.harness;
    const { runId } = await org.harness.start();
    const message = { runId, round: 1, entity: 'account', slice: 0 };
    await Promise.all([fetchSlice(services, message), fetchSlice(services, message)]);
    // Another attempt is still copying when the merge begins, and one more has left its rows.
    const slice = (await services.documents.slice(runId, 1, 'account', 0))!;
    const plan = (await services.documents.plan(runId, 1))!;
    const table = (await services.documents.catalog(plan.catalog)).tables['account']!;
    const bytes = (await services.work.getBytes(slice.shard!))!;
    const attempt = (name: string) =>
      services.mirror.stageShard!({ runId, table, name, bytes: new Uint8Array(bytes) });
    await attempt('left');
    await Promise.all([attempt('late'), org.harness.drain()]);
    await org.expectMirror('account', 'lead');
    const [state] = await query('SELECT rows::integer FROM mirror._sync_state WHERE entity = $$account$$');
    expect(state).toEqual({ rows: 15 });
  });

  it('what dead runs left is dropped by the next one, and what another run has stays until then', async () => {
    await start();
    org.rows('account', 15);
    await org.sync();
    const { mirror } = org.harness.services;
    const { table } = (await mirror.loadState()).state.entities['account']!;
    org.rows('account', 1);
    await fetchAll(everything);
    const own = await stagingTables();
    const shard = Shard.create(org.harness.services.sqlite);
    const options = {
      columns: table.columns,
      primaryKey: table.primaryKey,
      version: { properties: [], prefix: '', suffix: '' },
    };
    const body = Buffer.from(JSON.stringify({ accountid: '00000000-0000-4000-8000-000000000001' }));
    shard.recordWriter('rows', options).write(body, 0, body.length);
    shard.addDeleted(['00000000-0000-4000-8000-000000000002', 'not a key']);
    await mirror.stageShard!({ runId: 'dead', table, name: 'dead/shard', bytes: shard.export() });
    // Without a row in the list, as after a crash.
    await query(`DELETE FROM mirror_sync_staging._sync_staged WHERE shard = 'dead/shard'`);
    // Of somebody else.
    await query('CREATE TABLE mirror_sync_staging.others ()');
    expect((await stagingTables()).length).toBe(own.length + 3);
    await org.harness.drain();
    expect(await stagingTables()).toHaveLength(3);
    await org.sync(everything);
    expect(await stagingTables()).toEqual(['others']);
    await org.expectMirror('account', 'lead');
  });

  it('a server that crashes has empty tables, and does not list them', async () => {
    server = await startOwnPostgres();
    await start();
    org.rows('account', 70);
    await fetchAll();
    await withClient(address, async (client) => {
      const { rows } = await client.query('SELECT pg_backend_pid() AS pid');
      // This server writes its log late: without it, the tables would be gone altogether.
      await client.query('CHECKPOINT');
      // The server ends all its processes then, and recovers. Until it ends this one, it takes connections as before.
      await withClient(address, async (other) => {
        const ended = new Promise((resolve) => other.once('end', resolve));
        process.kill(rows[0].pid, 'SIGKILL');
        await ended;
      });
    });
    await untilReady();
    expect(await stagingTables()).not.toEqual([]);
    expect(await query('SELECT * FROM mirror_sync_staging._sync_staged')).toEqual([]);
    await org.harness.drain();
    expect(copies).toContain('merge');
    await org.expectMirror('account', 'lead');
    expect(await stagingTables()).toEqual([]);
  });
});

async function untilReady(): Promise<void> {
  for (;;) {
    try {
      await query('SELECT 1');
      return;
    } catch {
      await delay(50);
    }
  }
}

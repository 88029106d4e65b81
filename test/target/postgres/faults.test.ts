import { afterEach, describe, expect, it, test } from 'vitest';
import { ConflictError } from '../../../src/errors.ts';
import { readStoredIds } from '../../../src/sync/documents/stored-ids.ts';
import { runStatus } from '../../../src/sync/run/run-status.ts';
import type { TransactionOptions } from '../../../src/target/mirror-target.ts';
import { isLong, sampleOf } from '../../long.ts';
import { startPostgres, withClient } from '../../postgres.ts';
import { type Cut, type PostgresProxy, startPostgresProxy } from '../../postgres-proxy.ts';
import { Organisation } from '../../sync/organisation.ts';
import { addColumn } from '../../sync/schema-drift.ts';

const entities = [
  { name: 'account', history: true },
  { name: 'lead', deletes: 'mark' },
  { name: 'contact', filtered: true },
];

let org: Organisation;
let proxy: PostgresProxy;
let address: string;

async function start(): Promise<void> {
  address = await (await startPostgres()).createDatabase();
  proxy = await startPostgresProxy(address);
  // The long form sends more than the real service takes in five minutes.
  const sample = { protection: { requests: 1e9 } };
  const settings = { SYNC_MASS_DELETE_LIMIT: '1' };
  org = await Organisation.start(entities, sample, settings, undefined, proxy.address);
  org.rows('account', 6, (index) => ({ name: `account ${index}` }));
  const [contact] = org.rows('contact', 2);
  org.rows('lead', 4, () => ({ _customerid_value: { id: contact!, table: 'contact' } }));
  await org.sync();
}

afterEach(async () => {
  await org.stop();
  await proxy.stop();
});

/** One change of each kind. */
function change(n: number): void {
  const { store } = org;
  const [first, second] = [...store.rowsOf(store.table('account')).all()].map(({ id }) => id);
  store.create('account', { name: `new ${n}` });
  store.update('account', first!, { name: `changed ${n}` });
  store.delete('account', second!);
  const [lead] = [...store.rowsOf(store.table('lead')).all()].map(({ id }) => id);
  store.delete('lead', lead!);
  const [contact] = org.rows('contact', 1);
  store.create('lead', { _customerid_value: { id: contact!, table: 'contact' } });
  if (n % 5 === 0) addColumn(store, 'account', `new_extra${n}`, 'text', () => `value ${n}`);
}

/** Runs a sync, whose n-th statement is cut. @returns the statements that it sent, and whether it was cut */
async function syncCutting(n: number, cut: Cut): Promise<{ sent: string[]; runId: string }> {
  org.clock.now += 60_000;
  const sent: string[] = [];
  proxy.onStatement = (sql) => {
    sent.push(sql);
    return sent.length - 1 === n ? cut : undefined;
  };
  const { runId } = await startAgain();
  await org.harness.drain();
  proxy.onStatement = () => undefined;
  return { sent, runId };
}

/** A start that fails leaves its run, which the next one finds. */
async function startAgain(): Promise<{ runId: string }> {
  return org.harness.start().catch(() => org.harness.start({ resume: true }));
}

async function expectOnce(runId: string): Promise<void> {
  expect(await runStatus(org.harness.services, runId)).toMatchObject({
    phase: 'complete',
    totals: { failed: 0 },
  });
  await org.expectMirror('account', 'lead');
  await org.expectSound();
  const [state] = await org.query(`SELECT
    (SELECT count(*) FROM accounts) AS accounts, (SELECT rows FROM _sync_state WHERE entity = 'account') AS kept,
    (SELECT count(*) FROM accounts_history WHERE valid_to IS NULL) AS current,
    (SELECT count(*) FROM _sync_log WHERE run_id = '${runId}' AND round = 1 AND entity = 'account') AS logged`);
  expect(state).toEqual({
    accounts: state!['kept'],
    kept: state!['kept'],
    current: state!['kept'],
    logged: 1,
  });
}

describe('a connection that is lost', () => {
  const timeout = isLong ? 3_600_000 : 180_000;
  it('at any statement of a run, or at its answer, costs nothing but time', { timeout }, async () => {
    await start();
    change(0);
    const { sent } = await syncCutting(-1, 'before');
    const places = sent.map((_, place) => place);
    const commits = places.filter((place) => sent[place] === 'COMMIT');
    expect(commits.length).toBeGreaterThan(1);
    const chosen = [...new Set([...sampleOf(places, 4), ...commits.slice(-2)])];
    for (const [index, place] of chosen.flatMap((one) => [one, one]).entries()) {
      change(index + 1);
      const { runId } = await syncCutting(place, index % 2 === 0 ? 'before' : 'after');
      await expectOnce(runId);
    }
  });

  it('at the answer to the COMMIT of a merge is no reason to merge twice', async () => {
    await start();
    change(1);
    org.clock.now += 60_000;
    const seen: string[] = [];
    const cutHere = (): Cut => {
      seen.push('cut');
      return 'after';
    };
    proxy.onStatement = (sql) => {
      if (/^COPY (?:pg_temp."shard_rows_\d+"|"mirror_sync_staging"."\w+_rows") \("accountid"/.test(sql))
        seen.push('rows of accounts');
      else if (sql.startsWith('INSERT INTO "mirror"."_sync_log"')) seen.push('log');
      else if (sql === 'COMMIT' && seen.at(-1) === 'log' && !seen.includes('cut')) return cutHere();
      return undefined;
    };
    const { runId } = await org.harness.start();
    await org.harness.drain();
    expect(seen.filter((one) => one !== 'log')).toEqual(['rows of accounts', 'cut']);
    await expectOnce(runId);
    const status = await runStatus(org.harness.services, runId);
    expect(status!.entities.find(({ name }) => name === 'account')).toMatchObject({
      added: 1,
      updated: 1,
      deleted: 1,
    });
  });
});

describe('two writers', () => {
  const transaction = async (): Promise<TransactionOptions> => ({
    loaded: await org.harness.services.mirror.loadState(),
    ...{ runId: 'test', at: new Date(org.clock.now).toISOString(), synced: [], incomingBytes: 0 },
  });

  it('cannot both commit what they made of the same state', async () => {
    await start();
    const { mirror } = org.harness.services;
    const [options, other] = [await transaction(), await transaction()];
    const [account, lead] = ['account', 'lead'].map((name) => options.loaded.state.entities[name]!);
    let isFirstOpen = true;
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const first = mirror.transaction(options, async (work) => {
      begin();
      const [id] = await work.rowIds(account!.table);
      await work.removeRows(account!.table, [id!], { history: true, massDeleteLimit: 1 });
      // The other one waits meanwhile.
      await new Promise((resolve) => setTimeout(resolve, 100));
      isFirstOpen = false;
      return work.commit({});
    });
    await begun;
    const second = mirror.transaction(other, async (work) => {
      expect(isFirstOpen).toBe(false);
      const ids = await work.rowIds(lead!.table);
      await work.removeRows(lead!.table, ids, { history: false, massDeleteLimit: 1 });
      return work.commit({});
    });
    await first;
    await expect(second).rejects.toThrow(ConflictError);
    const [counts] = await org.query(
      'SELECT (SELECT count(*) FROM accounts) AS accounts, (SELECT count(*) FROM leads) AS leads',
    );
    expect(counts).toEqual({ accounts: 5, leads: 4 });
    await expect(mirror.saveState(options.loaded)).rejects.toThrow(ConflictError);
    await mirror.saveState(await mirror.loadState());
  });

  it('leave nothing of a transaction that was not committed', async () => {
    await start();
    const { mirror } = org.harness.services;
    const options = await transaction();
    const { table } = options.loaded.state.entities['account']!;
    await mirror.transaction(options, async (work) => {
      const ids = await work.rowIds(table);
      await work.removeRows(table, ids, { history: true, massDeleteLimit: 1 });
      await work.dropTable('lead');
    });
    await org.expectMirror('account', 'lead');
    await org.expectIdle();
  });
});

test('readers see whole rounds', { timeout: isLong ? 3_600_000 : 180_000 }, async () => {
  await start();
  let isOver = false;
  let seen = 0;
  const reader = withClient(address, async (client) => {
    const wrong: unknown[] = [];
    while (!isOver) {
      const { rows } = await client.query(`SELECT
        (SELECT count(*) FROM mirror.accounts) AS accounts,
        (SELECT rows FROM mirror._sync_state WHERE entity = 'account') AS kept,
        (SELECT count(*) FROM mirror.accounts_history WHERE valid_to IS NULL) AS current,
        (SELECT count(*) FROM mirror.accounts a JOIN mirror._sync_deleted d ON d.id = a.accountid::text) AS both`);
      const { accounts, kept, current, both } = rows[0];
      if (accounts !== kept || accounts !== current || both !== '0') wrong.push(rows[0]);
      seen += 1;
    }
    return wrong;
  });
  for (let n = 1; n <= (isLong ? 100 : 4); n++) {
    change(n);
    org.rows('account', 10);
    await org.sync();
  }
  isOver = true;
  expect(await reader).toEqual([]);
  expect(seen).toBeGreaterThan(20);
});

describe('a reader that holds a table for long', () => {
  /** Reads a table, and keeps its transaction open while `work` runs. */
  async function holding(tables: readonly string[], work: () => Promise<void>): Promise<void> {
    await withClient(address, async (client) => {
      await client.query('BEGIN');
      for (const table of tables) await client.query(`SELECT * FROM mirror.${table} LIMIT 1`);
      await work();
      await client.query('ROLLBACK');
    });
  }

  it('stops the change of that table alone, which comes with a later run', async () => {
    await start();
    addColumn(org.store, 'account', 'new_late', 'text', () => 'late');
    change(1);
    await holding(['accounts'], async () => {
      org.clock.now += 60_000;
      const { runId } = await startAgain();
      await org.harness.drain();
      const status = await runStatus(org.harness.services, runId);
      expect(status).toMatchObject({ phase: 'complete', totals: { failed: 1 } });
      const failed = status!.entities.find(({ error }) => error !== undefined)!;
      expect(failed.name).toBe('account');
      expect(failed.hint).toContain('pg_stat_activity');
      await org.expectMirror('lead');
    });
    org.clock.now += 60_000;
    await org.sync();
    await org.expectMirror('account', 'lead');
  });

  it('makes views late, after one wait for all of them in a round', async () => {
    await start();
    const views = ['accounts_labelled', 'leads_labelled', 'contacts_labelled'];
    const sqlOf = async () =>
      (
        await withClient(address, (client) =>
          client.query('SELECT name, sql FROM mirror._sync_views ORDER BY 1'),
        )
      ).rows;
    await withClient(address, (client) => client.query(`UPDATE mirror._sync_views SET sql = 'SELECT 1'`));
    /** How many statements about views waited long, by transaction. */
    const waits: number[] = [];
    proxy.onStatement = (sql) => {
      if (/^BEGIN$/.test(sql)) waits.push(0);
      if (/lock_timeout = '5000ms'[\s\S]*(DROP|CREATE) VIEW/.test(sql)) waits[waits.length - 1]! += 1;
      return undefined;
    };
    change(2);
    await holding(views, async () => {
      org.clock.now += 60_000;
      await org.sync();
      await org.expectMirror('account', 'lead');
    });
    expect(Math.max(...waits)).toBe(1);
    expect((await sqlOf()).some(({ sql }) => sql === 'SELECT 1')).toBe(true);
    org.clock.now += 60_000;
    change(3);
    await org.sync();
    expect((await sqlOf()).some(({ sql }) => sql === 'SELECT 1')).toBe(false);
    proxy.onStatement = () => undefined;
  });
});

it('a list of ids that is missing is made anew while a merge works', async () => {
  await start();
  const { work } = org.harness.services;
  const loaded = await org.harness.services.mirror.loadState();
  const name = loaded.state.entities['contact']!.storedIds!;
  const options: TransactionOptions = {
    loaded,
    ...{ runId: 'test', at: new Date(org.clock.now).toISOString(), synced: [], incomingBytes: 0 },
  };
  await work.deletePrefix(name);
  const ids = await org.harness.services.mirror.transaction(options, () =>
    readStoredIds(org.harness.services, name),
  );
  expect(ids).toHaveLength(1);
});

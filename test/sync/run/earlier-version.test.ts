import { afterEach, describe, expect, it } from 'vitest';
import { SqliteDatabase } from '../../../src/sqlite/sqlite-database.ts';
import { paths } from '../../../src/sync/documents/paths.ts';
import { stateName } from '../../../src/target/sqlite/state-file.ts';
import type { State, TableState } from '../../../src/target/state.ts';
import { commitFile, loadFile } from '../../storage/whole-file.ts';
import { Organisation, reportOf } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

const configured = ['lead', 'new_shipmentline', { name: 'account', filtered: true }];

/** Leads that refer to accounts, after a first sync. */
async function synced(): Promise<{ accounts: string[]; leads: string[] }> {
  org = await Organisation.start(configured);
  const accounts = org.rows('account', 5);
  const leads = org.rows('lead', 3, (n) => ({ _customerid_value: { id: accounts[n]!, table: 'account' } }));
  org.rows('new_shipmentline', 2);
  await org.sync();
  return { accounts, leads };
}

/** As version 0.1 wrote it. */
function earlier({ strategy, storedIds, ...state }: TableState): unknown {
  if (strategy !== 'filtered') return { ...state, strategy };
  return { ...state, strategy: 'linked', knownIds: /\/(\w+)\.json$/.exec(storedIds!)![1] };
}

/** Rewrites the storage to what version 0.1 would have left. */
async function becomeEarlier(options: { stateFile: boolean }): Promise<void> {
  const { storage, services } = org.harness;
  const { work, published, databaseFile } = storage;
  const state = (await published.read<State>(stateName))!.value;
  const list = state.entities['account']!.storedIds!;
  await work.put(list.replace('stored-ids/', 'known-ids/'), (await work.read(list))!.value);
  await work.deletePrefix('stored-ids/');

  const loaded = await loadFile(databaseFile);
  if (typeof loaded === 'string') throw new Error(loaded);
  const db = SqliteDatabase.open(services.sqlite, loaded.bytes);
  for (const { entity, text } of db.all<{ entity: string; text: string }>(
    'SELECT entity, state AS text FROM _sync_state',
  )) {
    const written = earlier(JSON.parse(text)) as { strategy: string };
    db.run('UPDATE _sync_state SET state = ?, strategy = ? WHERE entity = ?', [
      ...[JSON.stringify(written), written.strategy, entity],
    ]);
  }
  const { etag: databaseEtag } = await commitFile(databaseFile, db.export(), { etag: loaded.etag });
  db.close();
  const entities = Object.fromEntries(
    Object.entries(state.entities).map(([name, table]) => [name, earlier(table)]),
  );
  if (options.stateFile) await published.put(stateName, { ...state, entities, databaseEtag });
  else await published.deletePrefix(stateName);
  org.harness.restarted();
}

describe('storage of an earlier version', () => {
  it.each([true, false])('is continued without reading a row again (state.json: %s)', async (stateFile) => {
    const { accounts, leads } = await synced();
    await becomeEarlier({ stateFile });
    const status = await org.expectIdle();
    expect(reportOf(status, 'account')).toMatchObject({ strategy: 'filtered', rowsRead: 0, unchanged: 3 });
    expect(status.quality!.byStrategy).toMatchObject({ filtered: { tables: 1, rows: 3 } });

    await becomeEarlier({ stateFile });
    org.store.update('account', accounts[0]!, { name: 'renamed' });
    org.store.update('lead', leads[1]!, { _customerid_value: { id: accounts[4]!, table: 'account' } });
    expect(reportOf(await org.sync(), 'account')).toMatchObject({ added: 1, updated: 1, deleted: 1 });
    const state = (await org.harness.storage.published.read<State>(stateName))!.value;
    expect(state.entities['account']).toMatchObject({
      strategy: 'filtered',
      storedIds: expect.stringMatching(/^stored-ids\//),
    });
    expect(JSON.stringify(state)).not.toContain('knownIds');
    await org.expectIdle();
  });
});

describe('a run of an earlier version', () => {
  it('is abandoned for a new one, and its messages are dropped', async () => {
    const { accounts } = await synced();
    org.store.update('account', accounts[0]!, { name: 'renamed' });
    const { services } = org.harness;
    const { work } = services;
    const { runId } = await org.harness.start();
    const active = (await work.read<object>(paths.active))!;
    await work.replaceIfUnchanged(paths.active, { ...active.value, format: undefined }, active.etag);
    const plan = (await work.read<object>(paths.plan(runId, 1)))!;
    const table = { strategy: 'linked', read: { kind: 'known' }, knownIds: 'x', sweep: false, config: {} };
    await work.put(paths.plan(runId, 1), { ...plan.value, slices: undefined, entities: { account: table } });
    org.harness.restarted();

    await org.harness.drain();
    expect(org.harness.log.filter(({ level }) => level !== 'info')).toEqual([]);
    const next = await org.harness.start();
    expect(next.outcome).toBe('started');
    expect(await services.documents.run(runId)).toMatchObject({
      phase: 'abandoned',
      error: 'Another version of the app started this run.',
      entities: [{ name: 'account', state: 'waiting' }],
    });
    await org.harness.drain();
    expect(await org.query("SELECT name FROM accounts WHERE name = 'renamed'")).toHaveLength(1);
    await org.expectIdle();
  });
});

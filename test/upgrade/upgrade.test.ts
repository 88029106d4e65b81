import { afterEach, describe, expect, it } from 'vitest';
import { campaignMetricsId } from '../../src/metrics/contract/campaign-metrics-id.ts';
import { drainJournal } from '../../src/metrics/write/drain-journal.ts';
import { replayPoison } from '../../src/metrics/write/replay-poison.ts';
import { type RunStatus, runStatus } from '../../src/sync/run/run-status.ts';
import { startAzurite } from '../azurite.ts';
import { createWorld, record } from '../metrics/metrics-world.ts';
import { MirrorCheck } from '../sync/mirror-check.ts';
import { reportOf } from '../sync/organisation.ts';
import { withDatabase } from '../sync/truth.ts';
import {
  type Fixture,
  type InterruptedRun,
  readFixture,
  releases,
  restoreStorage,
  type StorageContent,
} from './fixture.ts';
import { UpgradeOrganisation } from './organisation.ts';

type Row = Record<string, unknown>;

let org: UpgradeOrganisation | undefined;
afterEach(async () => {
  await org?.stop();
  org = undefined;
});

/** The organisation and the storage of a release, with the services of this one. */
async function upgraded(
  { organisation }: Fixture,
  content: StorageContent,
  options: { connectionString?: string; foreign?: boolean } = {},
): Promise<{ org: UpgradeOrganisation; check: MirrorCheck }> {
  org = await UpgradeOrganisation.start(organisation, options.connectionString);
  await restoreStorage(
    org.harness.storage,
    content,
    { from: organisation.url, to: org.dataverse.url },
    options,
  );
  return { org, check: new MirrorCheck(org.harness, org.dataverse) };
}

/** The mirror equals the truth, and what the previous release wrote down is still there. */
async function expectContinued(fixture: Fixture, check: MirrorCheck, status: RunStatus): Promise<void> {
  const { harness, clock } = org!;
  expect(status).toMatchObject({ phase: 'complete', totals: { failed: 0 } });
  clock.now += 1;
  await check.now(harness.entities, new Date(clock.now).toISOString());
  const before = readTables(fixture.complete.database);
  const after = readTables(await harness.databaseBytes());
  for (const name of ['_sync_log', '_sync_deleted', '_sync_schema_changes']) {
    expectKept(after.get(name)!, before.get(name)!);
  }
  // The previous release did not keep the names of tables and columns.
  expect(before.has('_sync_tables')).toBe(false);
  const named = harness.entities.map(({ name }) => org!.store.table(name).entitySetName).sort();
  expect(after.get('_sync_tables')!.map((row) => row['table_name'])).toEqual(named);
  expect(after.get('_sync_columns')!.length).toBeGreaterThan(named.length);
  // The previous release did not count what was throttled.
  const counted = after
    .get('_sync_log')!
    .map(({ throttled, wire_bytes: bytes }) => [throttled, Number(bytes) > 0]);
  expect(counted).toContainEqual([null, false]);
  expect(counted.at(-1)).toEqual([0n, true]);
  for (const { name, history, deletes } of harness.entities) {
    const { entitySetName: set, primaryId: key } = org!.store.table(name);
    const idsOf = (rows: Row[]) => rows.map((row) => row[key]);
    if (deletes === 'mark') {
      const marked = before.get(set!)!.filter((row) => row['_deleted_at'] !== null);
      expect(marked.length).toBeGreaterThan(0);
      expectKept(after.get(set!)!, marked);
    }
    if (!history) continue;
    // The last run of the previous release began before this moment, and the first one of this release after it.
    const moment = new Date(fixture.organisation.clock - 3_600_000).toISOString();
    const then = after
      .get(`${set}_history`)!
      .filter(
        ({ valid_from: from, valid_to: to }) =>
          String(from) <= moment && (to === null || String(to) > moment),
      );
    const live = before.get(set!)!.filter((row) => !row['_deleted_at']);
    expect(idsOf(then).sort(), set).toEqual(idsOf(live).sort());
    for (const row of live) {
      const { _deleted_at: _, ...values } = row;
      expect(then.find((one) => one[key] === row[key])).toMatchObject(values);
    }
  }
}

/** Each of the rows is still there. A newer release may have added columns. */
function expectKept(rows: Row[], earlier: Row[]): void {
  expect(rows).toEqual(expect.arrayContaining(earlier.map((row) => expect.objectContaining(row))));
}

/** The runs read the changes, and nothing that Dataverse had already shown to the previous release. */
function expectOnlyChangesRead(...runs: RunStatus[]): void {
  const tables = runs.flatMap((run) => run.entities);
  for (const { name, strategy, rowsRead, added, updated, unchanged } of tables) {
    if (strategy === 'full') expect(unchanged, name).toBeGreaterThan(updated);
    else if (strategy === 'modifiedon') expect(rowsRead, name).toBeLessThanOrEqual(added + updated + 2);
    else expect(rowsRead, name).toBe(added + updated);
  }
  for (const count of ['added', 'updated', 'deleted'] as const) {
    expect(tables.some((table) => table[count] > 0)).toBe(true);
  }
}

/** Every table of a database with its rows, integers exactly. */
function readTables(bytes: Uint8Array): Map<string, Row[]> {
  return withDatabase(bytes, (db) => {
    const names = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
    return new Map(
      names.map(({ name }) => {
        const statement = db.prepare(`SELECT * FROM "${name}"`);
        statement.setReadBigInts(true);
        return [String(name), statement.all()];
      }),
    );
  });
}

async function expectIdle(): Promise<void> {
  const { totals, database } = await org!.sync();
  expect(totals).toMatchObject({ added: 0, updated: 0, deleted: 0, failed: 0 });
  expect(database).toMatchObject({ stagedBlocks: 0 });
}

/** What happens in the organisation after the upgrade: rows of every table, a column, labels, a file. */
async function changeRowsAndSchema(organisation: UpgradeOrganisation): Promise<void> {
  const { store, dataverse } = organisation;
  dataverse.schema.addColumn('trade_company', 'trade_segment', 'text:100');
  const size = store.table('trade_company').columns.find(({ name }) => name === 'trade_size')!;
  size.choice!.options.push({ value: 4, label: 'Huge' });
  size.choice!.options[0]!.label = 'Tiny';
  store.schemaChanged();
  const idsOf = (table: string) => [...store.truth(table).keys()];
  const [company, second, third] = idsOf('trade_company') as [string, string, string];
  const [person, manager] = idsOf('trade_person').slice(-2) as [string, string];
  store.update('trade_person', person, { _trade_manager_value: { table: 'trade_person', id: manager } });
  store.update('trade_company', company, {
    trade_segment: 'Wholesale',
    trade_size: 4,
    _trade_contact_value: { table: 'trade_person', id: person },
  });
  store.delete('trade_company', second);
  store.create('trade_product', { trade_name: 'Made after the upgrade' });
  for (const table of ['trade_order', 'trade_orderline']) {
    const [changed, deleted] = idsOf(table) as [string, string];
    const name = table === 'trade_order' ? 'trade_name' : 'trade_text';
    store.update(table, changed, { [name]: 'Changed after the upgrade' });
    store.delete(table, deleted);
    store.create(table, { [name]: 'Made after the upgrade' });
  }
  store.associate('trade_company_product', company, idsOf('trade_product').at(-1)!);
  const file = { table: 'trade_company', column: 'trade_contract', name: 'new.txt', base64: 'bmV3' };
  await organisation.upload({ ...file, id: third });
}

describe.each(releases())('storage that release %s left', (release) => {
  const fixture = readFixture(release);

  /** A run of this release, then one after changes of rows and schema, then an idle one. */
  async function continues(options: { foreign?: boolean } = {}): Promise<void> {
    const { org, check } = await upgraded(fixture, fixture.complete, options);
    const first = await org.sync();
    await expectContinued(fixture, check, first);
    expectOnlyChangesRead(first);
    // No table is read again because of the release, and the file is not written anew.
    expect(first.entities.filter(({ reread }) => reread !== undefined)).toEqual([]);
    expect(first.database?.stagedBlocks).toBeLessThanOrEqual(2);
    await changeRowsAndSchema(org);
    const second = await org.sync();
    await expectContinued(fixture, check, second);
    expect(second.files).toMatchObject({ fetched: 1, failed: 0 });
    expect(reportOf(second, 'trade_product')).toMatchObject({ rowsRead: 1, added: 1 });
    expect(reportOf(second, 'trade_order')).toMatchObject({ added: 1, updated: 1, deleted: 1 });
    const labels = withDatabase(await org.harness.databaseBytes(), (db) =>
      db
        .prepare(
          "SELECT label FROM _choices WHERE column_name = 'trade_size' AND language = 1033 ORDER BY value",
        )
        .all(),
    );
    expect(labels.map(({ label }) => label)).toEqual(['Tiny', 'Medium', 'Large “and” larger', 'Huge']);
    await check.historyOfAll();
    await expectIdle();
  }

  it('is continued, and only changes are read', () => continues());

  it('is continued where state.json belongs to another database', () => continues({ foreign: true }));

  it('is continued on real storage', async () => {
    const azurite = await startAzurite();
    try {
      const { org, check } = await upgraded(fixture, fixture.complete, azurite);
      const status = await org.sync();
      await expectContinued(fixture, check, status);
      expectOnlyChangesRead(status);
      await expectIdle();
    } finally {
      await azurite.stop();
    }
  });

  const interrupted: [string, InterruptedRun][] = [
    ['in the middle of a table', fixture.midFetch],
    ['before the merge', fixture.beforeMerge],
  ];
  describe.each(interrupted)('with a run that stopped %s', (_, run) => {
    const content: StorageContent = { ...run, database: fixture.complete.database };
    const { runId } = [...run.fetch, ...run.merge][0]!;

    /** A release may finish the run or abandon it. The mirror is right either way, and nothing is read twice. */
    async function expectFinishedOrAbandoned(check: MirrorCheck, ...later: RunStatus[]): Promise<void> {
      const { services } = org!.harness;
      const stopped = (await runStatus(services, runId))!;
      expect(['complete', 'abandoned']).toContain(stopped.phase);
      expect(await services.work.read('active.json')).toBeUndefined();
      await expectContinued(fixture, check, later.at(-1)!);
      expectOnlyChangesRead(...[stopped, ...later].filter(({ phase }) => phase === 'complete'));
      await expectIdle();
    }

    it('is continued with the messages in the queues', async () => {
      const { org, check } = await upgraded(fixture, content);
      const { services } = org.harness;
      for (const message of run.fetch) await services.sendFetch(message);
      for (const message of run.merge) await services.sendMerge(message);
      await org.harness.drain();
      await expectFinishedOrAbandoned(check, await org.sync());
    });

    it('is continued where the messages are lost', async () => {
      const { org, check } = await upgraded(fixture, content);
      await expectFinishedOrAbandoned(check, await org.harness.sync({ resume: true }));
    });
  });

  it('keeps its campaign metrics: waiting records are written, poison can be replayed', async () => {
    const azurite = await startAzurite();
    try {
      const { services, table, container } = createWorld(azurite);
      await container.create();
      for (const [name, { type, text, metadata }] of Object.entries(fixture.metrics)) {
        if (type !== 'AppendBlob') {
          await container.getBlockBlobClient(name).upload(text, Buffer.byteLength(text), { metadata });
          continue;
        }
        const blob = container.getAppendBlobClient(name);
        await blob.create({ metadata });
        await blob.appendBlock(text, Buffer.byteLength(text));
      }
      const idOf = (campaignId: string): string => campaignMetricsId(record({ campaignId }));
      await drainJournal(services);
      // What the previous release wrote to Dataverse is not written again.
      expect([...table.rows.keys()]).toEqual([idOf('waiting')]);
      expect(await services.poison.ids()).toEqual(new Set([idOf('rejected')]));
      expect(await replayPoison(services)).toHaveLength(1);
      await drainJournal(services);
      expect([...table.rows.keys()].sort()).toEqual([idOf('waiting'), idOf('rejected')].sort());
    } finally {
      await azurite.stop();
    }
  });
});

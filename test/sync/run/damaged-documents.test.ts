import { afterEach, describe, expect, it } from 'vitest';
import { Shard } from '../../../src/sqlite/shard.ts';
import { loadSqlite } from '../../../src/sqlite/sqlite.ts';
import { SqliteDatabase } from '../../../src/sqlite/sqlite-database.ts';
import { paths } from '../../../src/sync/documents/paths.ts';
import { failPoisonedTable } from '../../../src/sync/fetch/fail-table.ts';
import { runStatus, syncStatus } from '../../../src/sync/run/run-status.ts';
import { Organisation } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

/** Texts that another program may leave in the place of a document. */
const texts = [
  'not json',
  'null',
  '5',
  '[]',
  '{}',
  '{"runId":"../../../etc/passwd","startedAt":"x"}',
  '{"runId":"20260101T000000Z-00000000","startedAt":"2026-01-01T00:00:00Z","phase":"complete","entities":"x"}',
  '{"runId":"20260101T000000Z-00000000","startedAt":"2026-01-01T00:00:00Z","phase":"complete","finishedAt":"2026-01-01T00:00:00Z","entities":[{"name":"<script>"}]}',
  '{"entities":{"account":null},"pendingLog":[]}',
  '{"entities":{"account":{"table":null}},"__proto__":{"polluted":1}}',
];

describe.each(texts)('a document that was replaced by %s', (text) => {
  it('hides no run, stops no sync, and loses nothing', async () => {
    org = await Organisation.start(['account', { name: 'lead', history: true }]);
    org.rows('account', 3);
    org.rows('lead', 3);
    const first = await org.sync();
    const { services } = org.harness;
    const { work, published } = services;
    const id = '20260101T000000Z-00000000';
    await work.putText(paths.run(id), text, 'application/json');
    const { runs } = await syncStatus(services);
    expect(runs.map(({ runId }) => runId)).toEqual([first.runId, id]);
    expect(runs[1]).toMatchObject({ phase: 'failed', error: expect.stringMatching(/run\.json is not/) });
    expect(await runStatus(services, id)).toMatchObject({
      phase: 'failed',
      hint: expect.stringContaining('Delete'),
    });

    await published.putText('state.json', text, 'application/json');
    org.store.create('account', {});
    const second = await org.sync();
    expect(second).toMatchObject({
      phase: 'complete',
      totals: { added: 1, updated: 0, deleted: 0, failed: 0 },
    });
    await org.expectMirror('account', 'lead');

    await work.putText(paths.active, text, 'application/json');
    expect((await syncStatus(services)).active).toBeNull();
    const third = await org.sync();
    expect(third).toMatchObject({ phase: 'complete', totals: { failed: 0 } });
    await org.expectMirror('account', 'lead');
    await org.expectIdle();
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });
});

it('a live run whose report is damaged ends', async () => {
  org = await Organisation.start(['account']);
  org.rows('account', 3);
  const { services } = org.harness;
  const { runId } = await org.harness.startUnplanned({});
  await services.work.putText(paths.run(runId), 'garbage', 'application/json');
  await org.harness.drain();
  org.clock.now += 86_400_000;
  expect(await org.sync()).toMatchObject({ phase: 'complete', totals: { failed: 0, added: 3 } });
});

it.each(['constructor', '__proto__', 'unknown', '../../x'])(
  'a poison message for the table %s of a live run writes nothing',
  async (entity) => {
    org = await Organisation.start(['account']);
    const { services, log } = org.harness;
    const { runId } = await org.harness.start();
    const names = async (): Promise<string[]> => {
      const list: string[] = [];
      for await (const { name } of services.work.list('')) list.push(name);
      return list;
    };
    const before = await names();
    await failPoisonedTable(services, { runId, round: 1, entity, slice: 0 });
    expect(await names()).toEqual(before);
    expect(log.at(-1)).toMatchObject({ level: 'warn', message: expect.stringContaining('Dropped') });
  },
);

it.each([
  'CREATE VIEW rows AS SELECT 1',
  'CREATE TRIGGER t AFTER INSERT ON deleted BEGIN DELETE FROM deleted; END',
  'CREATE INDEX i ON deleted (id)',
])('a shard with more than tables is not opened: %s', async (sql) => {
  const sqlite = await loadSqlite();
  const db = SqliteDatabase.open(sqlite);
  db.exec(`CREATE TABLE deleted (id TEXT); ${sql}`);
  const bytes = new Uint8Array(db.export());
  db.close();
  org = await Organisation.start(['account']);
  expect(() => Shard.open(sqlite, bytes)).toThrow(/A shard contains a (view|trigger|index)/);
});

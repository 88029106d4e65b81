import { afterEach, describe, expect, it } from 'vitest';
import { readCheck, readStoredCheck } from '../../../src/sync/check/check-document.ts';
import { checkStatus } from '../../../src/sync/check/check-status.ts';
import { runCheck } from '../../../src/sync/check/run-check.ts';
import { startCheck } from '../../../src/sync/check/start-check.ts';
import type { CheckMessage } from '../../../src/sync/documents/messages.ts';
import type { CheckProgress } from '../../../src/target/mirror-check.ts';
import { CheckedFiguresFile } from '../../../src/target/sqlite/check/checked-figures.ts';
import { query } from '../databases/databases.ts';
import { Organisation } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

/** Steps of a check that the test makes itself, as short as they can be. */
function stepByStep(): { next: () => Promise<CheckProgress | undefined> } {
  const { services } = org.harness;
  let waiting: CheckMessage | undefined;
  services.sendCheck = async (message) => {
    waiting = message;
  };
  return {
    next: async () => {
      const message = waiting!;
      waiting = undefined;
      const { sliceSeconds } = services.settings.sync;
      services.settings.sync.sliceSeconds = 0;
      await runCheck(services, message);
      services.settings.sync.sliceSeconds = sliceSeconds;
      return (await readCheck(services))!.value!.progress;
    },
  };
}

describe('a check that began with one database', () => {
  it('goes on with it when tables are divided, whatever the others are called', async () => {
    const settings = { SYNC_CACHE_MB: '0.1', SYNC_CHECK_HOURS: '0' };
    org = await Organisation.start(['account', 'contact', 'lead'], {}, settings);
    const { services } = org.harness;
    org.rows('account', 100);
    org.rows('lead', 5);
    await org.sync();
    const steps = stepByStep();
    await startCheck(services, 'http');
    let progress = await steps.next();
    while (progress?.phase !== 'references') progress = await steps.next();
    const { pages } = progress;
    org.harness.configure(['account', 'contact', { name: 'lead', database: 'crm' }]);
    await org.sync();
    progress = await steps.next();
    expect(progress).toMatchObject({ database: 'dataverse', pages });
    while (progress !== undefined) progress = await steps.next();
    const [crm] = await org.harness.etags('crm');
    const result = (await readStoredCheck(services))!;
    expect(result.database.etag).toBe(`crm=${crm}, dataverse=${pages!.database.etag}`);
    expect(result.faults).toEqual([]);
  });
});

describe('several databases that fit into the memory together', () => {
  it('are checked if one of them exceeds its share: it is in memory in parts', async () => {
    const settings = { SYNC_CHECK_HOURS: '0' };
    org = await Organisation.start(['account', { name: 'contact', database: 'sales' }], {}, settings);
    const { services } = org.harness;
    org.rows('account', 900);
    await org.sync();
    const { databases, databaseBytes: all = 0 } = (await services.mirror.lastState())!;
    expect(databases!['dataverse']!.bytes).toBeGreaterThan((all + 50_000) / 2);
    services.settings.sync.cacheBytes = all + 50_000;
    services.settings.sync.checkHours = 10;
    org.harness.restarted();
    expect(await services.mirror.findDangling()).toBe('large');
    org.rows('account', 1);
    await org.sync();
    expect((await readCheck(services))?.value?.state).toBe('complete');
    services.settings.sync.cacheBytes = 4 * all;
    org.harness.restarted();
    expect(await services.mirror.findDangling()).toMatchObject({ tables: 2 });
  });
});

describe('a check of several databases', () => {
  it('names the one that was deleted while it was checked', async () => {
    const settings = { SYNC_CACHE_MB: '0.1', SYNC_CHECK_HOURS: '0' };
    org = await Organisation.start(['account', { name: 'contact', database: 'sales' }], {}, settings);
    const { services } = org.harness;
    org.rows('contact', 5);
    await org.sync();
    const steps = stepByStep();
    await startCheck(services, 'http');
    for (let progress = await steps.next(); progress?.database !== 'sales'; ) progress = await steps.next();
    await services.published.deletePrefix('sales.db');
    await steps.next();
    expect((await readCheck(services))!.value).toMatchObject({
      state: 'failed',
      error: expect.stringContaining('The database sales was deleted before its check was complete.'),
    });
  });
});

describe('damage of one of several databases', () => {
  it('is announced with its name, and with the command that restores it', async () => {
    const settings = { SYNC_CACHE_MB: '0.1', SYNC_CHECK_HOURS: '0' };
    org = await Organisation.start(['account', { name: 'contact', database: 'sales' }], {}, settings);
    const { services, log } = org.harness;
    org.rows('contact', 5);
    await org.sync();
    const [{ page }] = (await query(
      org,
      'sales',
      "SELECT rootpage AS page FROM sqlite_master WHERE name = 'contacts'",
    )) as [{ page: number }];
    const bytes = await org.harness.databaseBytes('sales');
    await services.published.putBytes('sales.db', bytes.fill(1, (page - 1) * 8192, page * 8192));
    const events: unknown[] = [];
    services.telemetry.event = (name, properties) => void events.push({ name, ...properties });
    await startCheck(services, 'http');
    await org.harness.drain();
    const hint = expect.stringContaining('npm run restore -- --database sales.');
    expect(log.find(({ level }) => level === 'error')).toMatchObject({
      message: expect.stringMatching(/^The database sales is damaged: Page \d+ of table contacts/),
      properties: { databases: 'sales', hint },
    });
    expect(events).toContainEqual(expect.objectContaining({ name: 'DatabaseDamaged', databases: 'sales' }));
    expect((await checkStatus(services)).checked).toMatchObject({ hint });
  });
});

describe('the figures of a check', () => {
  const settings = { SYNC_CACHE_MB: '0.05', SYNC_CHECK_HOURS: '0' };

  it('are not taken over after a commit that counted all references itself', async () => {
    const whole = { ...settings, SYNC_CACHE_MB: '64' };
    org = await Organisation.start(['account', 'contact', 'lead'], {}, whole, 10);
    const { services } = org.harness;
    const id = (n: number) => `00000000-0000-4000-8000-00000000000${n}`;
    const contacts = org.rows('contact', 20, (n) => ({
      _parentcustomerid_value: n < 5 ? { id: id(n), table: 'account' } : null,
    }));
    expect((await org.sync()).danglingReferences).toBe(5);
    await startCheck(services, 'http');
    await org.harness.drain();
    for (const one of contacts.slice(0, 5))
      org.store.update('contact', one, { _parentcustomerid_value: null });
    expect((await org.sync()).danglingReferences).toBe(0);
    // From now on, the database is in memory in parts.
    services.settings.sync.cacheBytes = 50_000;
    org.harness.restarted();
    org.rows('lead', 1);
    expect((await org.sync()).danglingReferences).toBe(0);
    // Those of a later check are taken over.
    org.clock.now += 60_000;
    const file = new CheckedFiguresFile(services.published);
    const [meta] = await org.query("SELECT value FROM _sync_meta WHERE name = 'dangling-references'");
    const keys = Object.keys(JSON.parse(String(meta!['value'])));
    const key = keys.find((name) => name.startsWith('contacts._parentcustomerid_value'))!;
    await file.write({ at: new Date(org.clock.now).toISOString(), recount: [], dangling: { [key]: 3 } });
    org.rows('lead', 1);
    expect((await org.sync()).danglingReferences).toBe(3);
  });

  it('wait for a commit that counts references', async () => {
    org = await Organisation.start([{ name: 'account', files: true }, 'contact'], {}, settings, 10);
    const { services } = org.harness;
    org.rows('account', 20);
    const contacts = org.rows('contact', 20) as [string];
    await org.sync();
    const file = new CheckedFiguresFile(services.published);
    const figures = { recount: [], dangling: { 'contacts._parentcustomerid_value': 7 } };
    await file.write(figures);
    const loaded = await services.mirror.loadState();
    const at = services.now().toISOString();
    const options = { loaded, runId: 'files', at, synced: [], incomingBytes: 0 };
    await services.mirror.transaction(options, async (mirror) => {
      await mirror.compareFiles([loaded.state.entities['account']!.table]);
      await mirror.writeFiles([], [{ table: 'accounts', rowId: 'x', column: 'y' }], at);
      return mirror.commit({ files: { entities: ['account'], areComplete: true } });
    });
    expect((await file.read())?.figures).toEqual(figures);
    org.store.update('contact', contacts[0], { firstname: 'renamed' });
    await org.sync();
    expect(await file.read()).toBeUndefined();
  });
});

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RetriableError } from '../../../src/errors.ts';
import { checkStatus } from '../../../src/sync/check/check-status.ts';
import { runCheck } from '../../../src/sync/check/run-check.ts';
import { startCheck } from '../../../src/sync/check/start-check.ts';
import type { CheckMessage } from '../../../src/sync/documents/messages.ts';
import { paths } from '../../../src/sync/documents/paths.ts';
import type { SyncServices } from '../../../src/sync/documents/services.ts';
import { verify } from '../../../src/sync/run/verify.ts';
import { Organisation } from '../organisation.ts';

/** The database does not fit into its cache. */
const settings = { SYNC_CACHE_MB: '0.1', SYNC_CHECK_HOURS: '0' };
const hour = 3_600_000;

let org: Organisation;
let services: SyncServices;
let events: Record<string, unknown>[];
/** Replaced by some tests. */
let original: SyncServices;

beforeAll(async () => {
  org = await Organisation.start(['account', 'contact'], { rows: 300 }, settings);
  ({ services } = org.harness);
  await org.sync();
  const { databaseBytes = 0 } = (await services.mirror.lastState())!;
  expect(databaseBytes).toBeGreaterThan(services.settings.sync.cacheBytes);
});
afterAll(() => org.stop());
beforeEach(async () => {
  original = { ...services };
  events = [];
  Object.assign(services, {
    telemetry: {
      ...services.telemetry,
      event: (name: string, properties: object) => void events.push({ name, ...properties }),
    },
  });
  org.harness.log.length = 0;
  await services.work.deletePrefix('check');
  await services.published.deletePrefix('database-check.json');
});
afterEach(async () => {
  await org.harness.drain();
  Object.assign(services, original);
  services.settings.sync.checkHours = 0;
  services.settings.sync.sliceSeconds = 120;
});

/** Each step does as little as it can. */
function useShortSteps(): void {
  services.settings.sync.sliceSeconds = 0;
}

/** The names of blobs of checks. */
async function blobs(): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of services.work.list('check')) found.push(name);
  return found;
}
const status = async () => (await checkStatus(services)).check!;

describe('a check', () => {
  it('goes on from message to message, shows how far it is, and leaves its result', async () => {
    expect(await verify(services)).toEqual({ check: null, checked: null });
    useShortSteps();
    const { checkId, outcome } = await startCheck(services, 'http');
    expect(outcome).toBe('started');
    expect(await status()).toMatchObject({ checkId, state: 'running', trigger: 'http' });
    const seen: string[] = [];
    while (org.harness.waiting > 0) {
      expect(await org.harness.deliver()).toBeUndefined();
      const { state, progress } = await status();
      if (progress !== undefined) seen.push(`${progress.phase} ${progress.references.done}`);
      else expect(state).toBe('complete');
    }
    expect(seen.length).toBeGreaterThan(1);
    expect(new Set(seen).size).toBeGreaterThan(1);
    const { check, checked, ...report } = (await verify(services))!;
    expect(check).toMatchObject({ checkId, state: 'complete', finishedAt: expect.any(String) });
    expect(checked).toMatchObject({ checkId, faultCount: 0, faults: [], miscounted: [], tables: 2 });
    expect(report).toMatchObject({
      database: checked!.database,
      tables: 2,
      danglingReferences: expect.any(Number),
      foreignKeys: checked!.foreignKeys,
    });
    expect(await blobs()).toEqual([paths.check]);
    expect(events).toEqual([{ name: 'DatabaseChecked', checkId }]);
    expect(org.harness.log.map(({ level }) => level)).toEqual(['info', 'info']);
  });

  it('is not started while one is live', async () => {
    const [one, two] = await Promise.all([startCheck(services, 'http'), startCheck(services, 'http')]);
    expect([one.outcome, two.outcome].sort()).toEqual(['live', 'started']);
    expect(one.checkId).toBe(two.checkId);
    expect(org.harness.waiting).toBe(1);
  });

  it('continues where a process died, with no step done twice', async () => {
    useShortSteps();
    await startCheck(services, 'http');
    let deaths = 0;
    const { work, sendCheck } = services;
    const killed = () => Promise.reject(new RetriableError('killed'));
    const put = work.putBytes.bind(work);
    while (org.harness.waiting > 0) {
      // After the work of a step, before its message, and, now and then, before anything is stored.
      deaths += 1;
      if (deaths % 2 === 1) services.sendCheck = killed;
      else work.putBytes = killed;
      await org.harness.deliver();
      services.sendCheck = sendCheck;
      work.putBytes = put;
      org.harness.restarted();
      await org.harness.deliver();
    }
    expect(deaths).toBeGreaterThan(1);
    expect((await status()).state).toBe('complete');
    expect(events.filter(({ name }) => name === 'DatabaseChecked')).toHaveLength(1);
    expect(await blobs()).toEqual([paths.check]);
  });

  it('is done once although messages come twice', async () => {
    useShortSteps();
    const sent: CheckMessage[] = [];
    services.sendCheck = async (message) => void sent.push(message);
    await startCheck(services, 'http');
    const attempts = { started: 0 };
    for (let message = sent.shift(); message !== undefined; message = sent.shift()) {
      attempts.started += 1;
      await Promise.all([runCheck(services, message), runCheck(services, message)]);
    }
    expect((await status()).state).toBe('complete');
    expect(attempts.started).toBeLessThan(20);
  });

  it('begins again where another version of the app or another program wrote its document', async () => {
    useShortSteps();
    await startCheck(services, 'http');
    await org.harness.deliver();
    services.settings.sync.sliceSeconds = 120;
    const { value } = (await services.work.read<object>(paths.check))!;
    await services.work.put(paths.check, {
      ...value,
      format: 0,
      progress: {
        phase: 'pages',
        bytes: { done: 0, total: 0 },
        references: { done: 0, total: 0 },
        other: true,
      },
    });
    await org.harness.drain();
    expect((await status()).state).toBe('complete');
    await services.work.put(paths.check, { checkId: 7 });
    expect(await startCheck(services, 'http')).toMatchObject({ outcome: 'started' });
    await org.harness.drain();
    expect((await status()).state).toBe('complete');
  });

  it('fails with a hint where a step fails too often, and keeps the last result', async () => {
    await startCheck(services, 'http');
    await org.harness.drain();
    const { checked } = await checkStatus(services);
    const { mirror } = services;
    services.mirror = Object.assign(Object.create(mirror), {
      checkStep: () => Promise.reject(new RetriableError('Storage is busy.')),
    });
    await startCheck(services, 'http');
    await org.harness.drain();
    expect(await checkStatus(services)).toMatchObject({
      check: { state: 'failed', error: 'A step of the check failed repeatedly.', hint: expect.any(String) },
      checked,
    });
    services.mirror = mirror;
    expect(await startCheck(services, 'http')).toMatchObject({ outcome: 'started' });
  });

  it('says that the database is damaged, which tables, and what to do', async () => {
    const name = services.settings.databaseName;
    const bytes = (await services.published.getBytes(name))!;
    const [{ page }] = (await org.query(
      "SELECT rootpage AS page FROM sqlite_master WHERE name = 'accounts'",
    )) as [{ page: number }];
    const damaged = Buffer.from(bytes).fill(1, (page - 1) * 8192, page * 8192);
    await services.published.putBytes(name, damaged);
    try {
      const { checkId } = await startCheck(services, 'http');
      await org.harness.drain();
      expect(events.find((event) => event['name'] === 'DatabaseDamaged')).toMatchObject({
        checkId,
        tables: 'accounts',
        error: `Page ${page} of table accounts is not a page of a table`,
      });
      expect(org.harness.log.find(({ level }) => level === 'error')).toMatchObject({
        message: expect.stringMatching(/^The database is damaged: Page \d+ of table accounts/),
        properties: { tables: 'accounts', hint: expect.stringContaining('npm run restore') },
      });
      const { checked } = await checkStatus(services);
      expect(checked).toMatchObject({ hint: expect.stringContaining('npm run restore') });
      expect(checked).not.toHaveProperty('danglingReferences');
    } finally {
      await services.published.putBytes(name, bytes);
    }
  });
});

describe('the check that is due', () => {
  it('starts at the end of a run, once in SYNC_CHECK_HOURS', async () => {
    await org.sync();
    expect(await checkStatus(services)).toMatchObject({ check: null });
    services.settings.sync.checkHours = 10;
    await org.sync();
    const first = await status();
    expect(first).toMatchObject({ state: 'complete', trigger: 'timer' });
    org.clock.now += 5 * hour;
    await org.sync();
    expect((await status()).checkId).toBe(first.checkId);
    org.clock.now += 5 * hour;
    await org.sync();
    expect((await status()).checkId).not.toBe(first.checkId);
  });

  it('is resumed where its message was lost', async () => {
    services.settings.sync.checkHours = 10;
    const { sendCheck } = services;
    services.sendCheck = async () => undefined;
    const { checkId } = await startCheck(services, 'http');
    services.sendCheck = sendCheck;
    await org.sync();
    expect(await status()).toMatchObject({ checkId, state: 'running' });
    org.clock.now += hour;
    await org.sync();
    expect(await status()).toMatchObject({ checkId, state: 'complete' });
  });

  it('does not start for a database that is in memory as a whole, which each commit checks', async () => {
    services.settings.sync.checkHours = 10;
    const { cacheBytes } = services.settings.sync;
    services.settings.sync.cacheBytes = 1e9;
    await org.sync();
    expect(await checkStatus(services)).toMatchObject({ check: null });
    services.settings.sync.cacheBytes = cacheBytes;
  });
});

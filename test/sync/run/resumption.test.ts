import { afterEach, describe, expect, it } from 'vitest';
import { RetriableError } from '../../../src/errors.ts';
import { paths } from '../../../src/sync/documents/paths.ts';
import type { ActiveRun } from '../../../src/sync/documents/run.ts';
import { Organisation, reportOf } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

describe('a read that is interrupted', () => {
  it('continues with the page that failed, and reads no page twice', async () => {
    org = await Organisation.start(['account'], {}, { DATAVERSE_PAGE_SIZE: '10' });
    org.rows('account', 95);
    // More often than the client tries. The slice ends early, and the next one gets the error again.
    const fault = org.dataverse.faults.add({
      kind: '503',
      match: /\/accounts\?.*skiptoken/,
      after: 4,
      times: 4,
    });
    const served = org.dataverse.stats.rows;
    const status = await org.sync();
    expect(fault.hits).toBe(4);
    expect(reportOf(status, 'account')).toMatchObject({ state: 'merged', added: 95, rowsRead: 95 });
    // Every row once; the rest are labels and the like.
    expect(org.dataverse.stats.rows - served).toBeLessThan(2 * 95);
    await org.expectMirror('account');
    await org.expectIdle();
  });

  it('fails if a later part of a read by ids stays unreadable', async () => {
    org = await Organisation.start(['contact', { name: 'account', filtered: true }]);
    const ids = org.rows('account', 120);
    org.rows('contact', ids.length, (n) => ({ _parentcustomerid_value: { id: ids[n]!, table: 'account' } }));
    const { services } = org.harness;
    const { dataverse } = services;
    let reads = 0;
    services.dataverse = {
      ...dataverse,
      readByIds: async function* (query, options) {
        if (++reads > 20) throw new Error('the ids are read again and again');
        let isFirst = true;
        for await (const page of dataverse.readByIds({ ...query, ids: query.ids.slice(0, 50) }, options)) {
          yield page;
          isFirst = false;
        }
        if (!isFirst) throw new RetriableError('Dataverse is busy.');
      },
    };
    const report = reportOf(await org.sync(), 'account');
    expect(report).toMatchObject({ state: 'failed', error: 'Dataverse is busy.' });
    expect(reads).toBeLessThanOrEqual(5);
  });

  it('fails if a page stays unreadable', async () => {
    org = await Organisation.start(['account']);
    org.rows('account', 3);
    const { services } = org.harness;
    const { dataverse } = services;
    let pages = 0;
    services.dataverse = {
      ...dataverse,
      readPages: async function* (query, options) {
        for await (const page of dataverse.readPages(query, options)) {
          if (++pages > 20) throw new Error('the page is read again and again');
          const body = Buffer.from('{"accountid":');
          yield { ...page, body, recordsStart: 0, recordsEnd: body.length };
        }
      },
    };
    const report = reportOf(await org.sync(), 'account');
    expect(report).toMatchObject({ state: 'failed', error: expect.stringMatching(/JSON/) });
    expect(pages).toBeLessThanOrEqual(5);
  });

  it('leaves its table unchanged if the error stays, and is continued by the next run', async () => {
    org = await Organisation.start(['account', 'contact'], {}, { DATAVERSE_PAGE_SIZE: '10' });
    const ids = org.rows('account', 40);
    org.rows('contact', 5);
    await org.sync();
    for (const id of ids) org.store.update('account', id, { name: 'changed' });
    org.rows('contact', 5);
    const fault = org.dataverse.faults.add({
      kind: '503',
      match: /\/accounts\?.*skiptoken/,
      after: 1,
      times: 1000,
    });
    const failed = await org.sync();
    expect(reportOf(failed, 'account')).toMatchObject({ state: 'failed', updated: 0 });
    expect(reportOf(failed, 'account').error).toBeTruthy();
    expect(await org.query("SELECT count(*) AS n FROM accounts WHERE name = 'changed'")).toEqual([{ n: 0 }]);
    await org.expectMirror('contact');
    const log = await org.query(
      `SELECT state, error FROM _sync_log WHERE entity = 'account' ORDER BY started_at DESC`,
    );
    expect(log[0]).toMatchObject({ state: 'failed' });
    fault.remove();
    expect(reportOf(await org.sync(), 'account')).toMatchObject({ updated: 40, strategy: 'delta' });
    await org.expectMirror('account', 'contact');
    await org.expectIdle();
  });
});

describe('a run without progress', () => {
  /** Starts a run whose messages are lost, as after someone cleared the queue. */
  async function stuck(): Promise<{ runId: string; lose: () => void; found: () => void }> {
    const { services } = org.harness;
    const { sendFetch } = services;
    const lose = (): void => {
      services.sendFetch = async () => undefined;
    };
    lose();
    const { runId } = await org.harness.start();
    return {
      runId,
      lose,
      found: () => {
        services.sendFetch = sendFetch;
      },
    };
  }
  // The storage dates its blobs with the time of the machine.
  const later = (minutes: number): void => {
    org.clock.now = Math.max(org.clock.now, Date.now()) + minutes * 60_000;
  };

  it('is left alone until SYNC_STALE_AFTER, then resumed', async () => {
    org = await Organisation.start(['account', 'lead'], { rows: 300 });
    const { runId, found } = await stuck();
    later(10);
    expect(await org.harness.start()).toMatchObject({ runId, outcome: 'live' });
    found();
    later(16);
    expect(await org.harness.start()).toEqual({ runId, outcome: 'resumed' });
    await org.harness.drain();
    expect(await org.harness.services.work.read(paths.active)).toBeUndefined();
    await org.expectMirror('account', 'lead');
    await org.expectIdle();
  });

  it('is not called live when its resumption fails', async () => {
    org = await Organisation.start(['account'], { rows: 10 });
    const { found } = await stuck();
    const { work } = org.harness.services;
    const { replaceIfUnchanged } = work;
    work.replaceIfUnchanged = () => Promise.reject(new RetriableError('Storage is busy.'));
    later(16);
    await expect(org.harness.start()).rejects.toThrow('Storage is busy.');
    work.replaceIfUnchanged = replaceIfUnchanged;
    found();
    expect(await org.harness.start({ resume: true })).toMatchObject({ outcome: 'resumed' });
    await org.harness.drain();
    await org.expectMirror('account');
  });

  it('is abandoned after three resumptions, for a new one', async () => {
    org = await Organisation.start(['account'], { rows: 100 });
    const { runId, found } = await stuck();
    for (let n = 0; n < 3; n++) {
      later(20);
      expect(await org.harness.start()).toEqual({ runId, outcome: 'resumed' });
    }
    found();
    later(20);
    const next = await org.harness.start();
    expect(next.outcome).toBe('started');
    expect(next.runId).not.toBe(runId);
    expect((await org.harness.services.documents.run(runId))?.phase).toBe('abandoned');
    await org.harness.drain();
    await org.expectMirror('account');
    await org.expectIdle();
  });

  it('is not abandoned if it made progress between the resumptions', async () => {
    org = await Organisation.start(['account'], {}, { DATAVERSE_PAGE_SIZE: '10', SYNC_SLICE_MB: '0.001' });
    org.rows('account', 120);
    const { work, documents } = org.harness.services;
    const { runId } = await org.harness.start();
    for (let n = 0; n < 8; n++) {
      later(20);
      expect(await org.harness.start()).toEqual({ runId, outcome: 'resumed' });
      // The resumption has sent messages a second time. They come first, and do nothing.
      while ((await documents.slices(runId, 1, 'account')).length <= n) await org.harness.deliver();
    }
    expect((await work.read<ActiveRun>(paths.active))!.value.resumptions).toBe(1);
    await org.harness.drain();
    await org.expectMirror('account');
  });

  it('is resumed once where several starts find it stale', async () => {
    org = await Organisation.start(['account'], { rows: 100 });
    const { runId, found } = await stuck();
    found();
    later(20);
    const outcomes: string[] = [];
    for (let n = 0; n < 5; n++) outcomes.push((await org.harness.start()).outcome);
    expect(outcomes).toEqual(['resumed', 'live', 'live', 'live', 'live']);
    await org.harness.drain();
    expect((await runOf(runId))?.phase).toBe('complete');
  });

  it('survives ten starts of a local program, stale or not, and reads no slice again', async () => {
    org = await Organisation.start(['account'], {}, { DATAVERSE_PAGE_SIZE: '10', SYNC_SLICE_MB: '0.001' });
    org.rows('account', 120);
    const { runId } = await org.harness.start();
    for (let n = 0; n < 3; n++) await org.harness.deliver();
    for (let n = 0; n < 10; n++) {
      if (n % 2 === 1) later(20);
      org.harness.restarted();
      expect(await org.harness.start({ resume: true })).toEqual({ runId, outcome: 'resumed' });
    }
    await org.harness.drain();
    const report = reportOf({ entities: (await runOf(runId))!.entities! }, 'account');
    expect(report).toMatchObject({ state: 'merged', rowsRead: org.store.count('account') });
    await org.expectMirror('account');
  });

  it('is planned by the next start if the first one died after its claim', async () => {
    org = await Organisation.start(['account'], { rows: 100 });
    const { services } = org.harness;
    const { sendPlan } = services;
    services.sendPlan = async () => {
      throw new Error('killed');
    };
    await expect(org.harness.start({ allowMassDelete: ['account'] })).rejects.toThrow('killed');
    const { runId } = (await services.work.read<ActiveRun>(paths.active))!.value;
    services.sendPlan = sendPlan;
    later(2);
    expect(await org.harness.start()).toMatchObject({ runId, outcome: 'live' });
    for (let n = 0; n < 6; n++) {
      // Also the message of a later start may get lost. Nothing was fetched, so nothing is abandoned.
      services.sendPlan = async () => undefined;
      later(4);
      expect(await org.harness.start()).toEqual({ runId, outcome: 'resumed' });
      expect(await org.harness.start()).toMatchObject({ runId, outcome: 'live' });
    }
    services.sendPlan = sendPlan;
    expect(await org.harness.start({ resume: true })).toEqual({ runId, outcome: 'resumed' });
    await org.harness.drain();
    expect(await runOf(runId)).toMatchObject({ phase: 'complete', allowMassDelete: ['account'] });
    await org.expectMirror('account');
  });

  const runOf = (runId: string) => org.harness.services.documents.run(runId);

  it('may lose the rows that a resumption allows, unless it is merged already', async () => {
    org = await Organisation.start(['lead', 'account']);
    const leads = org.rows('lead', 100);
    const accounts = org.rows('account', 100);
    await org.sync();
    for (const id of leads) org.store.delete('lead', id);
    for (const id of accounts) org.store.delete('account', id);
    org.clock.now += 60_000;
    const { runId } = await org.harness.start({ allowMassDelete: ['account'] });
    const resumed = await org.harness.start({ resume: true, allowMassDelete: ['lead'] });
    expect(resumed).toEqual({ runId, outcome: 'resumed' });
    expect((await runOf(runId))?.allowMassDelete).toEqual(['account', 'lead']);
    const { services } = org.harness;
    const claimed = () => services.documents.claim(paths.mergeRequest(runId, 1));
    while ((await claimed()) === undefined) await org.harness.deliver();
    expect(await org.harness.start({ resume: true, allowMassDelete: ['lead'] })).toMatchObject({
      outcome: 'live',
      hint: expect.stringContaining('allowMassDelete, dropTables and reread again'),
    });
    // Also if the run is stale: it is resumed, but the merge may have read the options.
    later(20);
    expect(await org.harness.start({ allowMassDelete: ['contact'] })).toMatchObject({ outcome: 'live' });
    expect((await runOf(runId))?.allowMassDelete).toEqual(['account', 'lead']);
    await org.harness.drain();
    expect(await org.query('SELECT count(*) AS n FROM leads')).toEqual([{ n: 0 }]);
    expect(await org.query('SELECT count(*) AS n FROM accounts')).toEqual([{ n: 0 }]);
  });

  it('ignores messages that arrive after its end', async () => {
    org = await Organisation.start(['account'], { rows: 100 });
    const { services } = org.harness;
    const late: Parameters<typeof services.sendFetch>[0][] = [];
    const { sendFetch } = services;
    services.sendFetch = async (message) => {
      late.push(message);
      await sendFetch(message);
    };
    await org.sync();
    const before = await org.query('SELECT * FROM _sync_log');
    for (const message of [...late]) await sendFetch(message);
    await org.harness.drain();
    expect(await org.query('SELECT * FROM _sync_log')).toEqual(before);
    await org.expectIdle();
  });
});

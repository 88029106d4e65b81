import { afterEach, describe, expect, it } from 'vitest';
import { acceptChanges, startChanges, startScheduledRun } from '../../../src/sync/changes/start-changes.ts';
import type { ChangesMessage } from '../../../src/sync/documents/messages.ts';
import { paths } from '../../../src/sync/documents/paths.ts';
import { cleanUp } from '../../../src/sync/run/clean-up.ts';
import { endRun } from '../../../src/sync/run/end-run.ts';
import { lastSuccess } from '../../../src/sync/run/last-success.ts';
import { syncStatus } from '../../../src/sync/run/run-status.ts';
import { Organisation } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

const stateOf = async (name: string) => (await org.harness.services.mirror.lastState())!.entities[name];
const namesOf = ({ entities }: { entities: readonly { name: string }[] }) =>
  entities.map(({ name }) => name).sort();

describe('a run of some tables', () => {
  it('reads these, and leaves the rows and the cursors of all others', async () => {
    org = await Organisation.start(['account', 'contact', 'lead']);
    org.rows('account', 3);
    org.rows('lead', 3);
    await org.sync();
    const [leads, before] = [await org.ids('lead'), await stateOf('lead')];
    org.rows('account', 2);
    org.rows('lead', 2);

    const status = await org.sync({ tables: ['account'] });
    expect(status).toMatchObject({ tables: ['account'], totals: { added: 2 } });
    expect(namesOf(status)).toEqual(['account']);
    await org.expectMirror('account');
    expect(await org.ids('lead')).toEqual(leads);
    expect(await stateOf('lead')).toEqual(before);
    // The age of the mirror is that of the table that is furthest behind.
    expect(status.quality?.oldestSync).toBe(before!.syncedAt);

    expect((await org.sync()).totals).toMatchObject({ added: 2 });
    await org.expectMirror('account', 'lead');
    await org.expectIdle();
  });

  it('brings the filtered tables along to which its tables lead, and no others', async () => {
    const filtered = ['contact', 'systemuser', 'new_campaign'].map((name) => ({ name, filtered: true }));
    org = await Organisation.start(['account', 'lead', ...filtered]);
    const [contact] = org.rows('contact', 1);
    org.rows('account', 1, () => ({}));
    await org.sync();
    expect(await org.ids('contact')).toEqual([]);
    const account = org.rows('account', 1, () => ({
      _primarycontactid_value: { table: 'contact', id: contact! },
    }))[0]!;

    const status = await org.sync({ tables: ['account'] });
    // Accounts and contacts refer to users. No chain of references leads to campaigns.
    expect(namesOf(status)).toEqual(['account', 'contact', 'systemuser']);
    expect(await org.ids('contact')).toEqual([contact]);
    // A row that nothing refers to any more goes as well.
    org.store.update('account', account, { _primarycontactid_value: null });
    await org.sync({ tables: ['account'], allowMassDelete: ['contact'] });
    expect(await org.ids('contact')).toEqual([]);
    await org.expectIdle();
  });

  it('leaves it to the next run of all tables what a table needed that left entities.json', async () => {
    const filtered = ['contact', 'systemuser'].map((name) => ({ name, filtered: true }));
    org = await Organisation.start(['account', 'new_box', ...filtered]);
    const [id] = org.rows('contact', 1);
    org.rows('account', 1, () => ({ _primarycontactid_value: { table: 'contact', id: id! } }));
    await org.sync();
    org.harness.configure(['new_box', ...filtered]);
    // It leads to users, and not to contacts.
    expect(namesOf(await org.sync({ tables: ['new_box'] }))).toEqual(['new_box', 'systemuser']);
    expect(await org.ids('contact')).toEqual([id]);
    await org.sync({ allowMassDelete: ['contact'] });
    expect(await org.ids('contact')).toEqual([]);
  });

  it('says in _sync_log which tables it covered', async () => {
    org = await Organisation.start(['account', 'contact', 'lead']);
    await org.sync();
    org.rows('account', 1);
    const { runId } = await org.sync({ tables: ['account', 'lead'] });
    const log = await org.query(`SELECT entity, reason FROM _sync_log WHERE run_id = '${runId}' ORDER BY 1`);
    expect(log).toEqual([
      { entity: '*', reason: '1 table without changes: lead' },
      { entity: 'account', reason: expect.any(String) },
    ]);
  });

  it('does not fail for a table outside of it', async () => {
    org = await Organisation.start(['account', 'lead']);
    await org.sync();
    org.dataverse.faults.add({ kind: '403', match: /\/leads/, times: 1_000 } as never);
    org.rows('account', 1);
    expect((await org.sync({ tables: ['account'] })).totals).toMatchObject({ added: 1, failed: 0 });
  });

  it('leaves what an earlier run was asked to read again to the next run of all tables', async () => {
    org = await Organisation.start(['account', 'contact']);
    await org.sync();
    const { services } = org.harness;
    const { runId } = await org.harness.startUnplanned({ reread: ['contact'] });
    await endRun(services, runId, 'failed');
    await org.sync({ tables: ['account'], trigger: 'changes' });
    expect(await services.work.exists(paths.keptReread)).toBe(true);
    const { entities } = await org.sync({ trigger: 'timer' });
    expect(entities.find(({ name }) => name === 'contact')).toMatchObject({ reread: 'on request' });
  });

  it('takes no requests for other tables while it is live', async () => {
    org = await Organisation.start(['account', 'contact']);
    await org.sync();
    await org.harness.start({ tables: ['account'], reread: ['account'] });
    const asked = await org.harness.startUnplanned({ resume: true, reread: ['contact'] });
    expect(asked).toMatchObject({ outcome: 'live', tables: ['account'] });
    expect(asked.hint).toContain('some tables alone');
    await org.harness.drain();
  });

  it('stays narrow when its start died before it wrote run.json', async () => {
    org = await Organisation.start(['account', 'contact']);
    await org.sync();
    const { work } = org.harness.services;
    const { createIfAbsent } = work;
    org.clock.now += 1_000;
    work.createIfAbsent = () => Promise.reject(new Error('killed'));
    await expect(org.harness.startUnplanned({ tables: ['account'] })).rejects.toThrow('killed');
    work.createIfAbsent = createIfAbsent;
    expect(await org.harness.start({ resume: true })).toMatchObject({ outcome: 'resumed' });
    await org.harness.drain();
    const [run] = (await syncStatus(org.harness.services)).runs;
    expect(run).toMatchObject({ phase: 'complete', tables: ['account'] });
    expect(namesOf(run!)).toEqual(['account']);
  });

  it('is no success of all tables, and displaces no reports of runs of all tables', async () => {
    org = await Organisation.start(['account', 'contact'], {}, { SYNC_KEEP_RUNS: '5' });
    const { services } = org.harness;
    await org.sync({ tables: ['account'] });
    expect(await lastSuccess(services)).toBeUndefined();
    const { runId, finishedAt } = await org.sync();
    for (let n = 0; n < 12; n++) await org.sync({ tables: ['account'], trigger: 'changes' });
    await cleanUp(services);
    expect(await lastSuccess(services)).toBe(finishedAt);
    expect(await services.work.exists(paths.run(runId))).toBe(true);
  });
});

describe('changes', () => {
  let sent: { message: ChangesMessage; delaySeconds: number }[];

  async function startWithQueue(): Promise<void> {
    org = await Organisation.start(['account', 'contact', 'lead']);
    sent = [];
    org.harness.services.sendChanges = async (message, delaySeconds) => {
      sent.push({ message, delaySeconds });
    };
    await org.sync();
  }

  /** Delivers the oldest message when it is due. */
  async function deliver(): Promise<void> {
    const { message, delaySeconds } = sent.shift()!;
    org.clock.now += delaySeconds * 1000 + 1;
    await startChanges(org.harness.services, message);
  }

  const runs = async () =>
    (await syncStatus(org.harness.services)).runs.map(({ tables }) => tables?.join() ?? 'all');

  it('that come together share a run', async () => {
    await startWithQueue();
    const { services } = org.harness;
    for (let n = 0; n < 20; n++) await acceptChanges(services, [['lead', 'account'][n % 2]!]);
    expect(sent).toMatchObject([{ delaySeconds: 5 }]);
    org.rows('account', 1);
    await deliver();
    await org.harness.drain();
    expect(await runs()).toEqual(['account,lead', 'all']);
    await org.expectMirror('account');
    expect(sent).toEqual([]);
  });

  it('wait for a run that is going on, and lose nothing', async () => {
    await startWithQueue();
    const { services } = org.harness;
    await org.harness.startUnplanned();
    await acceptChanges(services, ['account']);
    await deliver();
    await deliver();
    expect(sent).toMatchObject([{ message: { tries: 2 } }]);
    await org.harness.drain();
    await deliver();
    await org.harness.drain();
    expect(await runs()).toEqual(['account', 'all', 'all']);
    expect(sent).toEqual([]);
  });

  it('that come while their run starts get another run', async () => {
    await startWithQueue();
    const { services } = org.harness;
    await acceptChanges(services, ['account']);
    const { create } = services.work;
    services.work.create = async (...all) => {
      services.work.create = create;
      const etag = await create.apply(services.work, all);
      await acceptChanges(services, ['account']);
      return etag;
    };
    await deliver();
    await org.harness.drain();
    await deliver();
    await org.harness.drain();
    expect(await runs()).toEqual(['account', 'account', 'all']);
  });

  it('survive the death of a process before and after each step', async () => {
    await startWithQueue();
    const { services } = org.harness;
    const { work } = services;
    // The storage has the real clock. A run is stale when both say so.
    org.clock.now = Date.now();
    const steps = ['put', 'create', 'createIfAbsent', 'deleteIfUnchanged', 'replaceIfUnchanged'] as const;
    const real = Object.fromEntries(steps.map((step) => [step, work[step].bind(work)]));
    // A minute passes in a moment.
    org.harness.mergeDelay = 0.001;
    org.harness.onWait = (milliseconds) => {
      org.clock.now += milliseconds * 1100;
    };
    // A dead process is replaced by another one.
    org.harness.onFailure = () => void Object.assign(work, real);
    let added = 0;
    for (let death = 1; death <= 24; death++) {
      org.clock.now += 1_000_000;
      let left = death >> 1;
      for (const step of steps) {
        Object.assign(work, {
          [step]: async (...all: unknown[]) => {
            const dies = --left < 0;
            if (dies && death % 2 === 0) throw new Error('killed');
            const result = await (real[step] as (...all: unknown[]) => Promise<unknown>)(...all);
            if (dies) throw new Error('killed');
            return result;
          },
        });
      }
      added += 1;
      org.rows('lead', 1);
      const accepted = await acceptChanges(services, ['lead']).then(
        () => true,
        () => false,
      );
      // The queue delivers a message until its handler succeeds.
      for (let tries = 0; sent.length > 0 && tries < 60; tries++) {
        const next = sent[0]!;
        await deliver().catch(() => {
          sent.unshift(next);
          Object.assign(work, real);
        });
        await org.harness.drain();
      }
      Object.assign(work, real);
      expect(sent).toEqual([]);
      await org.harness.drain();
      if (accepted) expect(await org.ids('lead'), `death ${death}`).toHaveLength(added);
    }
    await org.sync();
    await org.expectMirror('lead');
  });

  it('make way for a run of the timer, which would come too late otherwise', async () => {
    await startWithQueue();
    const { services } = org.harness;
    org.clock.now += 1_000;
    await org.harness.startUnplanned({ tables: ['account'] });
    await startScheduledRun(services);
    await org.harness.drain();
    await deliver();
    await org.harness.drain();
    expect(await runs()).toEqual(['all', 'account', 'all']);
    // A run of all tables needs no other one behind it.
    await org.harness.startUnplanned();
    await startScheduledRun(services);
    expect(sent).toEqual([]);
    await org.harness.drain();
  });

  it('of a table that left entities.json are forgotten', async () => {
    await startWithQueue();
    const { services } = org.harness;
    await acceptChanges(services, ['lead']);
    org.harness.configure(['account', 'contact']);
    await deliver();
    expect(org.harness.waiting).toBe(0);
    expect(await services.work.exists(paths.changed('lead'))).toBe(false);
  });

  it('send another message if one was lost, or another program damaged their documents', async () => {
    await startWithQueue();
    const { services } = org.harness;
    await acceptChanges(services, ['lead']);
    sent.length = 0;
    await services.work.putText(paths.changed('lead'), '{', 'application/json');
    org.clock.now += 200_000;
    await acceptChanges(services, ['account']);
    expect(sent).toHaveLength(1);
    await services.work.putText(paths.wakeUp, '[', 'application/json');
    await deliver();
    await org.harness.drain();
    expect(await runs()).toEqual(['account,lead', 'all']);
  });
});

import { afterEach, describe, expect, it } from 'vitest';
import { acceptChanges, startChanges, startScheduledRun } from '../../../src/sync/changes/start-changes.ts';
import type { ChangesMessage } from '../../../src/sync/documents/messages.ts';
import { paths } from '../../../src/sync/documents/paths.ts';
import { syncStatus } from '../../../src/sync/run/run-status.ts';
import { Organisation } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

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

  /** Until no change waits. */
  async function deliverAll(): Promise<void> {
    for (let n = 0; sent.length > 0; n++) {
      expect(n).toBeLessThan(20);
      await deliver();
      await org.harness.drain();
    }
  }

  /** Delivers the oldest message, whose run then takes so many seconds. */
  async function deliverSlowly(seconds: number): Promise<void> {
    const { services } = org.harness;
    const { create } = services.work;
    services.work.create = async (...all) => {
      services.work.create = create;
      const etag = await create.apply(services.work, all);
      org.clock.now += seconds * 1000;
      return etag;
    };
    await deliver();
    services.work.create = create;
    await org.harness.drain();
  }

  /** When the runs of these tables started, oldest first. */
  const startsOf = async (tables: string) =>
    (await syncStatus(org.harness.services, 100)).runs
      .filter((run) => run.tables?.join() === tables)
      .map(({ startedAt }) => Date.parse(startedAt))
      .reverse();

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
    expect(sent).toHaveLength(1);
    await org.harness.drain();
    await deliver();
    await org.harness.drain();
    expect(await runs()).toEqual(['account', 'all', 'all']);
    expect(sent).toEqual([]);
  });

  it('have a message on its way, also if that is handled before it is noted', async () => {
    await startWithQueue();
    const { services } = org.harness;
    const { work } = services;
    const steps = ['put', 'create', 'createIfAbsent', 'replaceIfUnchanged'] as const;
    const real = Object.fromEntries(steps.map((step) => [step, work[step].bind(work)]));
    const restore = () => void Object.assign(work, real);
    for (const step of steps) {
      Object.assign(work, {
        [step]: async (...all: unknown[]) => {
          if (all[0] === paths.wakeUp && sent.length > 0) {
            restore();
            await deliver();
            await org.harness.drain();
          }
          return (real[step] as (...all: unknown[]) => Promise<unknown>)(...all);
        },
      });
    }
    await acceptChanges(services, ['account']);
    restore();
    expect(await runs()).toEqual(['account', 'all']);
    org.rows('lead', 1);
    await acceptChanges(services, ['lead']);
    expect(sent).toHaveLength(1);
    await deliverAll();
    await org.expectMirror('lead');
  });

  it('are not kept waiting by a process that died before it sent its message', async () => {
    await startWithQueue();
    const { services } = org.harness;
    const { sendChanges } = services;
    services.sendChanges = () => Promise.reject(new Error('killed'));
    await expect(acceptChanges(services, ['lead'])).rejects.toThrow('killed');
    services.sendChanges = sendChanges;
    await acceptChanges(services, ['account']);
    expect(sent).toHaveLength(1);
    // What it reserved counts no longer after some seconds, however late its message would have come.
    org.clock.now += 11_000;
    for (let n = 0; n < 3; n++) await acceptChanges(services, ['account']);
    expect(sent).toHaveLength(2);
    await deliverAll();
    expect(await runs()).toEqual(['account,lead', 'all']);
  });

  it('that never cease start a run at most every half minute, and the first one at once', async () => {
    await startWithQueue();
    const { services } = org.harness;
    const before = org.clock.now;
    let looks = 0;
    await acceptChanges(services, ['account']);
    while (org.clock.now < before + 30 * 60_000) {
      await deliver();
      looks += 1;
      await acceptChanges(services, ['account']);
      await org.harness.drain();
    }
    const starts = await startsOf('account');
    expect(starts[0]! - before).toBeLessThan(10_000);
    expect(starts.length).toBeGreaterThan(50);
    expect(starts.length).toBeLessThan(62);
    expect(looks).toBeLessThan(130);
  });

  it('start a run after each run where no interval is set', async () => {
    await startWithQueue();
    org.harness.services.settings.sync.changesIntervalSeconds = 0;
    for (let n = 0; n < 2; n++) {
      await acceptChanges(org.harness.services, ['account']);
      await deliver();
      await org.harness.drain();
      expect(sent).toEqual([]);
    }
    expect(await runs()).toEqual(['account', 'account', 'all']);
  });

  it('start runs that take no more than a tenth of the time', async () => {
    await startWithQueue();
    const { services } = org.harness;
    await acceptChanges(services, ['account']);
    await deliverSlowly(20);
    const [first] = await startsOf('account');
    await acceptChanges(services, ['account']);
    await deliverAll();
    const [, second] = await startsOf('account');
    expect(second! - first!).toBeGreaterThanOrEqual(200_000);
    expect(second! - first!).toBeLessThan(260_000);
    // A run that took an hour delays the next one by a quarter of an hour.
    org.clock.now += 1_000_000;
    await acceptChanges(services, ['account']);
    await deliverSlowly(600);
    const [, , third] = await startsOf('account');
    await acceptChanges(services, ['account']);
    await deliverAll();
    const [, , , fourth] = await startsOf('account');
    expect(fourth! - third!).toBeLessThan(1_600_000);
  });

  it('look rarely for the end of a long run, however many come meanwhile', async () => {
    await startWithQueue();
    const { services } = org.harness;
    await org.harness.startUnplanned();
    const before = org.clock.now;
    let looks = 0;
    await acceptChanges(services, ['account']);
    while (org.clock.now < before + 30 * 60_000) {
      const looking = deliver();
      await acceptChanges(services, ['account']);
      await looking;
      await acceptChanges(services, ['account']);
      looks += 1;
    }
    expect(looks).toBeLessThan(60);
    await org.harness.drain();
    await deliverAll();
    expect((await runs())[0]).toBe('account');
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
    await deliverAll();
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

  it('do not delay the run of the timer by the time that they wait themselves', async () => {
    await startWithQueue();
    const { services } = org.harness;
    org.rows('account', 1);
    await acceptChanges(services, ['account']);
    await deliver();
    await acceptChanges(services, ['lead']);
    await startScheduledRun(services);
    expect(sent.map(({ delaySeconds }) => delaySeconds)).toEqual([30, 5]);
    await org.harness.drain();
    sent.reverse();
    await deliver();
    await org.harness.drain();
    expect(await runs()).toEqual(['all', 'account', 'all']);
    // The run of all tables has read the changes as well.
    await deliver();
    expect([sent.length, org.harness.waiting]).toEqual([0, 0]);
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

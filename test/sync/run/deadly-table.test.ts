import { afterEach, expect, it } from 'vitest';
import { SyncError } from '../../../src/errors.ts';
import { syncStatus } from '../../../src/sync/run/run-status.ts';
import { Organisation, reportOf } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

/** From now on, each read of a page of `entitySet` kills the process: its later calls of the storage and queues fail. */
function killAt(entitySet: string): { kills: () => number; revive: () => void } {
  const { services, storage } = org.harness;
  let isDead = false;
  let kills = 0;
  const unlessDead = (object: object, methods: readonly string[]): void => {
    for (const method of methods) {
      const real = (object as Record<string, (...args: unknown[]) => unknown>)[method]!.bind(object);
      Object.assign(object, {
        [method]: async (...args: unknown[]) => {
          if (isDead) throw new SyncError('killed');
          return real(...args);
        },
      });
    }
  };
  const writes = ['create', 'replaceIfUnchanged', 'deleteIfUnchanged', 'createIfAbsent', 'putBytes', 'put'];
  for (const store of [storage.work, storage.published]) unlessDead(store, [...writes, 'read']);
  unlessDead(services, ['sendPlan', 'sendFetch', 'sendMerge']);
  const { dataverse } = services;
  services.dataverse = {
    ...dataverse,
    readPages: async function* (query, options) {
      if (query.entitySet === entitySet) {
        isDead = true;
        kills += 1;
        throw new SyncError('killed');
      }
      yield* dataverse.readPages(query, options);
    },
  };
  return {
    kills: () => kills,
    revive: () => {
      isDead = false;
      org.harness.restarted();
    },
  };
}

// The first attempt at the plan dies, in a function of its own or in the one that starts the run. Then the message of the
// table kills five.
it.each(['http', 'timer'] as const)(
  'a table that kills the process fails alone, trigger %s',
  async (trigger) => {
    org = await Organisation.start(['account', 'team'], { rows: 30 });
    // The storage dates its blobs with the time of the machine.
    org.clock.now = Date.now();
    await org.sync();
    org.rows('team', 2);
    const { kills, revive } = killAt('accounts');
    org.harness.onFailure = revive;
    const { services } = org.harness;
    org.clock.now += 60_000;
    await org.harness.startUnplanned({ trigger }).catch(() => undefined);
    revive();
    await org.harness.drain();
    for (let n = 0; n < 4 && (await syncStatus(services)).active !== null; n++) {
      org.clock.now += 60_000;
      await org.harness.startUnplanned({ trigger: 'timer' });
      await org.harness.drain();
    }
    const [run] = (await syncStatus(services)).runs;
    expect(run).toMatchObject({ phase: 'complete', rounds: 1 });
    expect(kills()).toBe(1 + 5);
    expect(reportOf(run!, 'account').state).toBe('failed');
    expect(reportOf(run!, 'team').state).toBe('merged');
    await org.expectMirror('team');
  },
);

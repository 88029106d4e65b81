import { afterEach, expect, it } from 'vitest';
import { runStatus } from '../../../src/sync/run/run-status.ts';
import { Organisation } from '../organisation.ts';
import { countOf, tablesOf } from './databases.ts';

let org: Organisation;
afterEach(() => org.stop());

const writes = ['create', 'createIfAbsent', 'putBytes', 'put', 'putText', 'replaceIfUnchanged', 'commit'];
const others = ['deleteIfUnchanged', 'read', 'getBytes', 'open', 'currentEtag', 'deletePrefix', 'exists'];

/** A process that dies at one of its writes: after it and before the answer, which is before the next write, too. */
class Process {
  isDead = false;
  /** How many writes are left. */
  #left = Number.POSITIVE_INFINITY;

  constructor(stores: object[]) {
    for (const store of stores as Record<string, unknown>[]) {
      for (const name of [...writes, ...others]) {
        if (typeof store[name] !== 'function') continue;
        const real = (store[name] as (...args: unknown[]) => Promise<unknown>).bind(store);
        store[name] = async (...args: unknown[]) => {
          if (this.isDead) throw new Error('The process is dead.');
          if (writes.includes(name) && --this.#left === 0) {
            await real(...args);
            this.isDead = true;
            throw new Error('The process dies.');
          }
          return real(...args);
        };
      }
    }
  }

  dieAt(write: number): void {
    this.#left = write;
  }

  restart(): void {
    this.isDead = false;
    this.#left = Number.POSITIVE_INFINITY;
    org.harness.restarted();
  }
}

/**
 * Runs a sync whose process dies at one write, and another process that goes on.
 * @returns the run, and whether the process died
 */
async function syncWithDeath(process: Process, write: number, atDeath: () => Promise<void>) {
  const { harness } = org;
  org.clock.now += 60_000;
  process.dieAt(write);
  let runId: string | undefined;
  let hasDied = false;
  const start = async (resume: boolean) => {
    const started = await harness.startUnplanned({ resume }).catch(() => undefined);
    // A run that has just ended makes way for another one.
    runId ??= started?.runId;
  };
  await start(false);
  while (harness.waiting > 0 || process.isDead) {
    if (process.isDead) {
      hasDied = true;
      process.restart();
      await atDeath();
      await start(true);
    }
    await harness.deliver();
  }
  process.restart();
  return { status: await runStatus(harness.services, runId!), hasDied };
}

const stores = () => {
  const { work, published, databaseFile, namedFile } = org.harness.storage;
  return [work, published, databaseFile, namedFile('sales'), namedFile('people')];
};

it('a round of three databases is complete, wherever the process dies', async () => {
  org = await Organisation.start([
    { name: 'lead', database: 'sales' },
    'account',
    { name: 'contact', database: 'people', filtered: true },
  ]);
  const contacts = org.rows('contact', 100);
  org.rows('account', 3, (n) => ({ _primarycontactid_value: { id: contacts[n]!, table: 'contact' } }));
  org.rows('lead', 3);
  await org.sync();
  const process = new Process(stores());
  let write = 1;
  for (let isOver = false; !isOver; write += 1) {
    org.rows('lead', 2);
    org.rows('account', 1, () => ({
      _primarycontactid_value: { id: contacts[3 + write]!, table: 'contact' },
    }));
    const { status, hasDied } = await syncWithDeath(process, write, async () => undefined);
    expect(status, `write ${write}`).toMatchObject({ phase: 'complete', totals: { added: 4, failed: 0 } });
    isOver = !hasDied;
    expect([
      await countOf(org, 'sales', 'leads'),
      await countOf(org, undefined, 'accounts'),
      await countOf(org, 'people', 'contacts'),
    ]).toEqual([3 + 2 * write, 3 + write, 3 + write]);
  }
  // Plan, slices, three commits, the state, the report …
  expect(write).toBeGreaterThan(15);
  const before = await org.harness.etags(undefined, 'sales', 'people');
  expect((await org.sync()).totals).toMatchObject({ added: 0, updated: 0, deleted: 0, failed: 0 });
  expect(await org.harness.etags(undefined, 'sales', 'people')).toEqual(before);
});

it('a table that moves is in a database, wherever the process dies', async () => {
  org = await Organisation.start(['account', 'contact', { name: 'lead', database: 'sales' }]);
  org.rows('contact', 3, (n) => ({ firstname: `${n}` }));
  org.rows('account', 1);
  org.rows('lead', 1);
  await org.sync();
  const process = new Process(stores());
  const databases = ['sales', 'people', undefined];
  const places = async () => {
    const found: unknown[] = [];
    for (const name of databases) {
      const [etag] = await org.harness.etags(name);
      if (etag !== undefined && (await tablesOf(org, name)).includes('contacts'))
        found.push(name ?? 'default', await countOf(org, name, 'contacts'));
    }
    return found;
  };
  let write = 1;
  for (let isOver = false; !isOver; write += 1) {
    const database = databases[write % 3];
    org.harness.configure([
      'account',
      { name: 'contact', ...(database && { database }) },
      { name: 'lead', database: 'sales' },
    ]);
    const { status, hasDied } = await syncWithDeath(process, write, async () => {
      expect(await places(), `write ${write}`).toContain(3);
    });
    expect(status, `write ${write}`).toMatchObject({ phase: 'complete', totals: { failed: 0 } });
    isOver = !hasDied;
    // A table that was not dropped before the process died goes with the next run.
    await org.sync();
    expect(await places(), `write ${write}`).toEqual([database ?? 'default', 3]);
  }
  expect(write).toBeGreaterThan(10);
});

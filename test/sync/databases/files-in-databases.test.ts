import { afterEach, expect, it } from 'vitest';
import { Organisation } from '../organisation.ts';
import { fileOf } from './databases.ts';

let org: Organisation;
afterEach(() => org.stop());

/** How often the default database and `sales` are opened by the next sync, in a new process. */
async function opens(): Promise<number[]> {
  org.harness.restarted();
  const counts = [0, 0];
  const files = [undefined, 'sales'].map((name) => fileOf(org, name));
  const before = files.map((file) => file.open);
  for (const [n, file] of files.entries()) {
    file.open = function (...args) {
      counts[n]! += 1;
      return before[n]!.apply(this, args);
    };
  }
  try {
    await org.sync();
  } finally {
    for (const [n, file] of files.entries()) file.open = before[n]!;
  }
  return counts;
}

it('opens only databases that have tables with files, once they changed', async () => {
  const contact = { name: 'contact', database: 'sales' };
  org = await Organisation.start([{ name: 'account', files: true }, contact]);
  org.rows('account', 2);
  const [first] = org.rows('contact', 2) as [string];
  await org.sync();
  expect(await opens()).toEqual([0, 0]);
  org.rows('account', 1);
  const [own, other] = await opens();
  expect([own! > 0, other]).toEqual([true, 0]);
  org.store.update('contact', first, { firstname: 'renamed' });
  expect(await opens()).toEqual([0, 1]);
  // Another table is to have files.
  org.harness.configure([
    { name: 'account', files: true },
    { ...contact, files: true },
  ]);
  const both = await opens();
  expect(both.every((count) => count > 0)).toBe(true);
  expect(await opens()).toEqual([0, 0]);
  // None is.
  org.harness.configure(['account', contact]);
  await org.sync();
  expect(await opens()).toEqual([0, 0]);
  org.rows('account', 1);
  expect((await opens())[1]).toBe(0);
});

it.each([[undefined], ['sales']])(
  'fetches the files of a table in database %s that was read later than the others',
  async (database) => {
    const account = { name: 'account', files: true, ...(database !== undefined && { database }) };
    const contact = { name: 'contact', ...(database === undefined && { database: 'sales' }) };
    org = await Organisation.start([account, contact]);
    org.store.create('account', { entityimage: Buffer.from('an image').toString('base64') });
    org.rows('contact', 2);
    org.dataverse.faults.add({ kind: '503', match: /\/accounts/, times: 1000 });
    await org.sync();
    org.dataverse.faults.clear();
    const status = await org.sync();
    expect(status.totals.failed).toBe(0);
    // The memory that stands for storage here does not take files.
    expect(status.files).toMatchObject({ failed: 1 });
  },
);

import { afterEach, expect, it } from 'vitest';
import type { TableState } from '../../../src/target/state.ts';
import { Organisation } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

async function reached(table: string): Promise<TableState['reached']> {
  const { state } = await org.harness.services.mirror.loadState();
  return state.entities[table]!.reached;
}

const greatestVersion = (table: string) =>
  [...org.store.truth(table).values()]
    .map(({ versionnumber }) => BigInt(versionnumber as number))
    .sort((a, b) => (a < b ? -1 : 1))
    .at(-1)!
    .toString();

it('the state keeps the greatest version that reads showed, also of rows that are gone', async () => {
  org = await Organisation.start(['lead', 'contact', { name: 'systemuser', filtered: true }]);
  const ids = org.rows('lead', 5);
  org.rows('contact', 3);
  await org.sync();
  const first = greatestVersion('lead');
  expect(await reached('lead')).toEqual({ at: expect.stringMatching(/^2026-11-2/), version: first });
  expect(await reached('contact')).toMatchObject({ version: greatestVersion('contact') });

  org.clock.now += 3_600_000;
  const newest = org.store.create('lead', { subject: 'Newest' });
  const second = greatestVersion('lead');
  await org.sync();
  expect((await reached('lead'))?.version).toBe(second);
  const { at } = (await reached('lead'))!;

  // A table that fails keeps its point.
  org.store.delete('lead', newest);
  org.store.update('lead', ids[0]!, { subject: 'Changed' });
  org.store.deniedPrivileges.add('prvReadlead');
  org.clock.now += 3_600_000;
  await org.sync();
  expect(await reached('lead')).toEqual({ at, version: second });
  org.store.deniedPrivileges.clear();
  await org.sync();
  expect(BigInt((await reached('lead'))!.version!)).toBeGreaterThan(BigInt(second));
});

it('after the source moved back, earlier versions say nothing', async () => {
  org = await Organisation.start(['lead', { name: 'account' }]);
  const ids = org.rows('lead', 3);
  org.rows('account', 3);
  await org.sync();
  const backup = org.store.backup();
  const atBackup = greatestVersion('lead');
  for (const id of ids) org.store.update('lead', id, { subject: 'Later' });
  for (const id of org.store.truth('account').keys()) org.store.update('account', id, { name: 'Later' });
  await org.sync();
  expect(BigInt((await reached('lead'))!.version!)).toBeGreaterThan(BigInt(atBackup));
  org.store.restore(backup);
  await org.sync();
  await org.sync();
  expect((await reached('lead'))!.version).toBe(atBackup);
  await org.expectMirror('lead', 'account');
});

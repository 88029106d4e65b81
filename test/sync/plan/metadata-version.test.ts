import { afterEach, expect, it, vi } from 'vitest';
import { secondsFor } from '../../../src/sync/plan/mark-columns.ts';
import { Organisation } from '../organisation.ts';
import { dropTable } from '../schema-drift.ts';

let org: Organisation;
afterEach(() => org.stop());

/** Counts the metadata documents that Dataverse is asked for. */
function countDocuments(): () => number {
  let count = 0;
  org.dataverse.faults.add({
    kind: 'error',
    match: ({ path }) => {
      if (path.endsWith('/$metadata')) count += 1;
      return false;
    },
  });
  return () => count;
}

it.each(['the first table vanished', 'the first table left entities.json', 'the first table is refused'])(
  'an idle run reads no metadata document after %s',
  async (what) => {
    org = await Organisation.start(['new_box', 'lead', 'account'], { rows: 100 });
    await org.sync();
    if (what.includes('vanished')) {
      dropTable(org.store, 'new_box');
      org.store.schemaChanged();
    } else if (what.includes('refused')) org.store.deniedPrivileges.add('prvReadnew_box');
    else org.harness.configure(['lead', 'account']);
    await org.sync();
    const documents = countDocuments();
    await org.sync();
    await org.sync();
    expect(documents()).toBe(0);
  },
);

it('asks another table if the first one is refused before anything is known', async () => {
  org = await Organisation.start(['new_box', 'lead'], { rows: 20 });
  org.store.deniedPrivileges.add('prvReadnew_box');
  await org.sync();
  const documents = countDocuments();
  await org.sync();
  expect(documents()).toBe(0);
});

it('attributes of one table that can never be read cost the metadata twice, then once an hour', async () => {
  org = await Organisation.start(['account', 'contact', 'team']);
  org.rows('account', 2);
  org.dataverse.faults.add({
    kind: '503',
    match: /LogicalName='team'\).*Attributes/,
    times: 1e6,
    retryAfter: 0,
  });
  const documents = countDocuments();
  await org.sync();
  await org.sync();
  const before = documents();
  for (let run = 0; run < 3; run++) await org.sync();
  expect(documents()).toBe(before);
  org.clock.now += 3_600_000;
  await org.sync();
  expect(documents()).toBe(before + 1);
});

it('attributes that take too long are no lack of a privilege, and are asked for again after a day', async () => {
  org = await Organisation.start(['account', 'contact', 'team']);
  org.rows('account', 2);
  const { services } = org.harness;
  const real = services.dataverse;
  services.dataverse = {
    ...real,
    readAttributes: async (table, options = {}) => {
      if (table === 'team') await new Promise((done) => options.signal!.addEventListener('abort', done));
      return real.readAttributes(table, options);
    },
  };
  const timeout = AbortSignal.timeout.bind(AbortSignal);
  const allowed = secondsFor(3) * 1000;
  const spy = vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => timeout(ms === allowed ? 300 : ms));
  try {
    const documents = countDocuments();
    await org.sync();
    await org.sync();
    const before = documents();
    org.clock.now += 2 * 3_600_000;
    await org.sync();
    expect(documents()).toBe(before);
    const warnings = org.harness.log.filter(({ message }) => message.includes('did not come within'));
    expect(warnings).toHaveLength(2);
    expect(warnings[0]!.message).toContain('secured in team.');
    expect(warnings[0]!.message).not.toContain('prvReadAttribute');
    org.clock.now += 22 * 3_600_000;
    await org.sync();
    expect(documents()).toBe(before + 1);
  } finally {
    spy.mockRestore();
  }
});

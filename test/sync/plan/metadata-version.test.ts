import { afterEach, expect, it } from 'vitest';
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

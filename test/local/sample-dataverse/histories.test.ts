import fc from 'fast-check';
import { expect, it } from 'vitest';
import { startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import { api, readAll } from './http.ts';

/** What can happen to the table between two reads. */
const step = fc.oneof(
  fc.record({ kind: fc.constant('create' as const), text: fc.string({ maxLength: 20 }) }),
  fc.record({
    kind: fc.constant('update' as const),
    pick: fc.nat(),
    text: fc.string({ unit: 'binary', maxLength: 20 }),
  }),
  fc.record({ kind: fc.constant('delete' as const), pick: fc.nat() }),
  fc.record({ kind: fc.constant('create-and-delete' as const) }),
);
const histories = fc.array(fc.array(step, { maxLength: 25 }), { minLength: 1, maxLength: 4 });

it('a mirror updated by deltas equals the truth after any history', { timeout: 120_000 }, async () => {
  const dataverse = await startSampleDataverse({ rows: 60, tables: ['account'] });
  const { store } = dataverse;
  const apply = (change: typeof step extends fc.Arbitrary<infer T> ? T : never): void => {
    const ids = [...store.truth('account').keys()];
    if (change.kind === 'create') store.create('account', { name: change.text });
    else if (change.kind === 'create-and-delete') store.delete('account', store.create('account'));
    else if (ids.length > 0) {
      const id = ids[change.pick % ids.length]!;
      if (change.kind === 'update') store.update('account', id, { name: change.text.toWellFormed() });
      else store.delete('account', id);
    }
  };
  const url = api(dataverse.url, 'accounts?$select=name');
  await fc.assert(
    fc.asyncProperty(histories, fc.integer({ min: 1, max: 40 }), async (rounds, pageSize) => {
      const first = await readAll(url, `odata.track-changes,odata.maxpagesize=${pageSize}`);
      const mirror = new Map<string, string | null>(first.rows.map((row) => [row.accountid, row.name]));
      let link = first.pages.at(-1)['@odata.deltaLink'] as string;
      for (const round of rounds) {
        for (const change of round) apply(change);
        const { rows, pages } = await readAll(link, `odata.maxpagesize=${pageSize}`);
        for (const row of rows) {
          if (row.reason === 'deleted') mirror.delete(row.id);
          else mirror.set(row.accountid, row.name);
        }
        link = pages.at(-1)['@odata.deltaLink'];
        const truth = [...store.truth('account')].map(([id, row]) => [id, row['name']]);
        expect([...mirror].sort()).toEqual(truth.sort());
      }
    }),
    { numRuns: 40 },
  );
  await dataverse.stop();
});

import type { HttpRequest } from '@azure/functions';
import { afterEach, describe, expect, it } from 'vitest';
import { postSync } from '../../../src/http/sync/post-sync.ts';
import { Organisation } from '../../sync/organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

const post = (body: object) => {
  const request = { url: 'http://localhost:7071/api/sync', text: async () => JSON.stringify(body) };
  return postSync(org.harness.services, request as unknown as HttpRequest);
};

describe('POST /api/sync with dropTables', () => {
  it('drops a table that is no longer configured, and rejects any other by name', async () => {
    org = await Organisation.start(['account', 'contact']);
    await org.sync();
    org.harness.configure(['account']);
    await expect(post({ dropTables: ['account'] })).rejects.toMatchObject({
      document: { status: 400, detail: expect.stringContaining('account'), hint: expect.any(String) },
    });
    await expect(post({ dropTables: ['contacts'] })).rejects.toMatchObject({
      document: { status: 400, detail: expect.stringContaining('contacts') },
    });
    for (const name of ['constructor', '__proto__', 'toString']) {
      await expect(post({ dropTables: [name] })).rejects.toMatchObject({ document: { status: 400 } });
      // Also if it comes from another process.
      expect(await org.harness.sync({ dropTables: [name] })).toMatchObject({ phase: 'complete' });
    }
    expect(await post({ dropTables: ['contact'] })).toMatchObject({ status: 202 });
    await org.harness.drain();
    expect(await org.query("SELECT name FROM sqlite_master WHERE name = 'contacts'")).toEqual([]);
  });

  it('keeps a table that is called like the history of a dropped one', async () => {
    org = await Organisation.start(['account', 'task']);
    const { model } = org.store;
    const task = org.store.table('task');
    model.remove(task);
    task.entitySetName = 'accounts_history';
    model.add(task);
    org.store.schemaChanged();
    org.rows('task', 4);
    await org.sync();
    expect(await org.query('SELECT count(*) AS n FROM accounts_history')).toEqual([{ n: 4 }]);
    org.harness.configure(['task']);
    await post({ dropTables: ['account'] });
    await org.harness.drain();
    expect(await org.query('SELECT count(*) AS n FROM accounts_history')).toEqual([{ n: 4 }]);
    await org.expectIdle();
  });
});

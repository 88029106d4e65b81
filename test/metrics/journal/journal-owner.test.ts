import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { problemOf } from '../../../src/http/problem.ts';
import { Journal } from '../../../src/metrics/journal/journal.ts';
import { environmentOf } from '../../../src/metrics/journal/journal-owner.ts';
import type { MetricsServices } from '../../../src/metrics/services.ts';
import { acceptRecords } from '../../../src/metrics/write/accept-records.ts';
import { drainJournal } from '../../../src/metrics/write/drain-journal.ts';
import { receiveDrain } from '../../../src/metrics/write/receive-drain.ts';
import { type Azurite, startAzurite } from '../../azurite.ts';
import { MemoryTable } from '../memory-table.ts';
import { createWorld, record } from '../metrics-world.ts';

let azurite: Azurite;
beforeAll(async () => {
  azurite = await startAzurite();
});
afterAll(() => azurite.stop());

/** Two apps with one storage account, one work container and one queue, but two environments. */
function createTwoApps() {
  const world = createWorld(azurite);
  const app = (environment: string): MetricsServices & { table: MemoryTable } => ({
    ...world.another(),
    table: new MemoryTable(),
    journal: new Journal(world.container, { environment }),
  });
  return { ...world, app, ours: app('contoso.crm.dynamics.com'), theirs: app('fabrikam.crm.dynamics.com') };
}

test.each([true, false])(
  'no records are accepted into the journal of another environment (%s)',
  async (queue) => {
    const { ours, theirs, queue: messages, logged } = createTwoApps();
    await acceptRecords(ours, [record()], true);
    const error = await acceptRecords(theirs, [record({ runId: 'x' })], queue).catch((each: unknown) => each);
    expect(problemOf(error).document).toMatchObject({
      status: 500,
      detail: expect.stringContaining('contoso.crm.dynamics.com'),
      hint: expect.stringContaining('SYNC_WORK_CONTAINER'),
    });
    // A message that reaches the other app comes back, and nothing is written to its Dataverse.
    const received = async () => (await messages.receiveMessages()).receivedMessageItems[0];
    let message = await received();
    for (; message === undefined; message = await received()) await sleep(50);
    const content = JSON.parse(Buffer.from(message.messageText, 'base64').toString());
    await messages.deleteMessage(message.messageId, message.popReceipt);
    await receiveDrain(messages.name, () => theirs, drainJournal)(content);
    expect([theirs.table.rows.size, logged.length]).toEqual([0, 1]);
    let returned = await received();
    for (; returned === undefined; returned = await received()) await sleep(50);
    const again = JSON.parse(Buffer.from(returned.messageText, 'base64').toString());
    expect(again).toEqual({ ...content, returned: 1 });
    await receiveDrain(messages.name, () => ours, drainJournal)(again);
    expect(ours.table.rows.size).toBe(1);
  },
);

test('two apps that begin at the same time do not both accept records', async () => {
  const { ours, theirs } = createTwoApps();
  const both = [ours, theirs].map((app) => acceptRecords(app, [record()], true));
  const results = await Promise.allSettled(both);
  expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
});

test('takes over the journal of an earlier version, and asks whose it is once', async () => {
  const { services, app, ours, theirs, container } = createTwoApps();
  await services.journal.append([{ id: 'x', acceptedAt: '', record: record() }]);
  const state = container.getBlobClient('metrics/journal/state').getBlockBlobClient();
  await state.upload('', 0, { metadata: { generation: '1', offset: '0', poison: '0' } });
  const asked = vi.spyOn(ours.journal, 'state');
  for (let n = 0; n < 3; n += 1) await acceptRecords(ours, [record({ runId: `r${n}` })], true);
  expect(asked).toHaveBeenCalledTimes(1);
  await drainJournal(ours);
  expect(ours.table.rows.size).toBe(4);
  await expect(drainJournal(theirs)).rejects.toThrow('another Dataverse environment');
  // The mark outlives the drain, until somebody removes it.
  const { metadata: { environment, ...rest } = {} } = await state.getProperties();
  expect(environment).toBe('contoso.crm.dynamics.com');
  await state.setMetadata(rest);
  await acceptRecords(theirs, [record({ runId: 'y' })], true);
  await expect(acceptRecords(ours, [record({ runId: 'z' })], false)).rejects.toThrow('fabrikam');
  await expect(acceptRecords(app('contoso.crm.dynamics.com'), [record()], true)).rejects.toThrow('fabrikam');
});

test('knows an environment by its host, and all servers of this machine as one', () => {
  expect(environmentOf('https://contoso.crm4.dynamics.com')).toBe('contoso.crm4.dynamics.com');
  const local = ['http://localhost:7071', 'http://127.0.0.1:81', 'http://[::1]:9'].map(environmentOf);
  expect(local).toEqual(Array(3).fill('localhost'));
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigurationError } from '../../src/errors.ts';
import { openStorageAccount, type StorageAccount } from '../../src/storage/account.ts';
import { QueueOwner } from '../../src/storage/queue-owner.ts';
import { type Azurite, startAzurite } from '../azurite.ts';

let azurite: Azurite;
let account: StorageAccount;
beforeAll(async () => {
  azurite = await startAzurite();
  account = openStorageAccount({ connectionString: azurite.connectionString });
});
afterAll(() => azurite.stop());

const monday = new Date('2026-11-23T08:00:00Z');
const later = (days: number) => new Date(monday.getTime() + days * 86_400_000);

describe('QueueOwner', () => {
  it('lets one app use a queue, also one that does not exist yet, and refuses another by name', async () => {
    const queue = account.queues.getQueueClient('plan-one');
    await new QueueOwner(queue, 'contoso-sync').claim(monday);
    await new QueueOwner(queue, 'contoso-sync').claim(later(1));
    const error = await new QueueOwner(queue, 'contoso-test')
      .claim(later(2))
      .catch((fault: unknown) => fault);
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(error).toMatchObject({
      message: 'The queue plan-one of this storage account belongs to another app (contoso-sync).',
      hint: expect.stringMatching(/SYNC_QUEUE_PREFIX.*contoso-test.*delete the queue plan-one/),
    });
  });

  it('leaves a queue to the next app when its own has started nothing for a week', async () => {
    const queue = account.queues.getQueueClient('plan-two');
    await new QueueOwner(queue, 'old').claim(monday);
    await new QueueOwner(queue, 'new').claim(later(7.1));
    await expect(new QueueOwner(queue, 'old').claim(later(7.2))).rejects.toThrow('another app (new)');
  });

  it('is not taken by two apps at the same time', async () => {
    const queue = account.queues.getQueueClient('plan-three');
    const apps = ['a', 'b', 'c'].map((name) => new QueueOwner(queue, name));
    const claims = () => Promise.allSettled(apps.map((app) => app.claim(monday)));
    await claims();
    const outcomes = (await claims()).map(({ status }) => status);
    expect(outcomes.filter((status) => status === 'fulfilled')).toHaveLength(1);
  });
});

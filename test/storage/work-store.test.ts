import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConflictError, SyncError } from '../../src/errors.ts';
import { openStorageAccount, type StorageAccount } from '../../src/storage/account.ts';
import { ShardCache } from '../../src/storage/shard-cache.ts';
import { WorkStore } from '../../src/storage/work-store.ts';
import { type Azurite, startAzurite } from '../azurite.ts';
import { type FaultyProxy, startFaultyProxy } from '../faulty-proxy.ts';

let azurite: Azurite;
let proxy: FaultyProxy;
let account: StorageAccount;
let containers = 0;

beforeAll(async () => {
  azurite = await startAzurite();
  proxy = await startFaultyProxy(azurite.blobPort);
  account = openStorageAccount({ connectionString: azurite.connectionString });
});
afterAll(async () => {
  await proxy.close();
  await azurite.stop();
});

function fresh() {
  containers += 1;
  const container = account.blobs.getContainerClient(`work${containers}`);
  return { container, store: new WorkStore(container) };
}

async function names(store: WorkStore, prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of store.list(prefix)) found.push(name);
  return found;
}

describe('WorkStore', () => {
  it('finds nothing if there is no container', async () => {
    const { store } = fresh();
    expect(await store.read('a.json')).toBeUndefined();
    expect(await store.getBytes('a')).toBeUndefined();
    expect(await names(store, '')).toEqual([]);
    expect(await store.deletePrefix('')).toBe(0);
    expect(await store.deleteIfUnchanged('a.json', '"1"')).toBe(false);
  });

  it('creates a document once', async () => {
    const { store, container } = fresh();
    expect(await store.createIfAbsent('runs/1/run.json', { text: 'ä', list: [1] })).toBe(true);
    expect(await store.createIfAbsent('runs/1/run.json', { other: true })).toBe(false);
    const found = await store.read<{ text: string }>('runs/1/run.json');
    expect(found).toMatchObject({ value: { text: 'ä', list: [1] }, etag: found!.etag });
    const properties = await container.getBlobClient('runs/1/run.json').getProperties();
    expect(properties.contentType).toBe('application/json');
  });

  it('lets exactly one of many create it', async () => {
    const { store } = fresh();
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, index) => store.createIfAbsent('claim.json', { index })),
    );
    expect(results.filter(Boolean)).toHaveLength(1);
    expect((await store.read<{ index: number }>('claim.json'))!.value.index).toBe(results.indexOf(true));
  });

  it('replaces and deletes only an unchanged document', async () => {
    const { store } = fresh();
    await store.createIfAbsent('state.json', { n: 1 });
    const { etag } = (await store.read('state.json'))!;
    const next = await store.replaceIfUnchanged('state.json', { n: 2 }, etag);
    await expect(store.replaceIfUnchanged('state.json', { n: 3 }, etag)).rejects.toThrow(ConflictError);
    await expect(store.deleteIfUnchanged('state.json', etag)).rejects.toThrow(ConflictError);
    expect(await store.read('state.json')).toMatchObject({ value: { n: 2 }, etag: next });
    expect(await store.deleteIfUnchanged('state.json', next)).toBe(true);
    expect(await store.deleteIfUnchanged('state.json', next)).toBe(false);
    await expect(store.replaceIfUnchanged('state.json', { n: 4 }, next)).rejects.toThrow(ConflictError);
    expect(await store.read('state.json')).toBeUndefined();
  });

  it('loses none of many concurrent increments', async () => {
    const { store } = fresh();
    await store.createIfAbsent('counter.json', { n: 0 });
    const increment = async (): Promise<void> => {
      const { value, etag } = (await store.read<{ n: number }>('counter.json'))!;
      try {
        await store.replaceIfUnchanged('counter.json', { n: value.n + 1 }, etag);
      } catch (error) {
        if (!(error instanceof ConflictError)) throw error;
        await increment();
      }
    };
    await Promise.all(Array.from({ length: 10 }, increment));
    expect((await store.read('counter.json'))!.value).toEqual({ n: 10 });
  });

  it('recognizes its own write if the response is lost', async () => {
    const { container } = fresh();
    const store = new WorkStore(
      openStorageAccount({
        connectionString: azurite.connectionString.replace(`:${azurite.blobPort}/`, `:${proxy.port}/`),
      }).blobs.getContainerClient(container.containerName),
    );
    await store.createIfAbsent('other.json', {});
    let lost = 0;
    const loseOne = (request: { method?: string | undefined }) => {
      if (request.method !== 'PUT' || lost > 0) return 'none' as const;
      lost += 1;
      return 'lose-answer' as const;
    };
    proxy.fault = loseOne;
    expect(await store.createIfAbsent('claim.json', { mine: true })).toBe(true);
    expect(lost).toBe(1);
    const { etag } = (await store.read('claim.json'))!;
    lost = 0;
    const next = await store.replaceIfUnchanged('claim.json', { mine: 2 }, etag);
    expect(lost).toBe(1);
    expect((await store.read('claim.json'))!.etag).toBe(next);
    proxy.fault = () => 'none';
  });

  it('stores bytes, few and many', async () => {
    const { store } = fresh();
    for (const bytes of [Buffer.alloc(0), randomBytes(1000), randomBytes(33 * 1024 * 1024)]) {
      await store.putBytes('shards/1.db', bytes);
      expect((await store.getBytes('shards/1.db'))!.equals(bytes)).toBe(true);
    }
  });

  it('lists and deletes by prefix', async () => {
    const { store } = fresh();
    const before = Date.now() - 5000;
    await Promise.all(
      ['runs/1/a', 'runs/1/b', 'runs/12/c', 'runs/2/d'].map((name) => store.putBytes(name, randomBytes(1))),
    );
    expect(await names(store, 'runs/1/')).toEqual(['runs/1/a', 'runs/1/b']);
    for await (const { lastModified } of store.list('runs/'))
      expect(lastModified.getTime()).toBeGreaterThan(before);
    expect(await store.deletePrefix('runs/1/')).toBe(2);
    expect(await names(store, '')).toEqual(['runs/12/c', 'runs/2/d']);
  });

  it('names a document that is not JSON, without its content', async () => {
    const { store } = fresh();
    await store.putBytes('broken.json', Buffer.from('secret'));
    await expect(store.read('broken.json')).rejects.toThrow(SyncError);
    await expect(store.read('broken.json')).rejects.toThrow('broken.json is not JSON');
  });
});

describe('openStorageAccount', () => {
  it('creates clients for an identity', () => {
    const credential = { getToken: async () => null };
    const { blobs, queues } = openStorageAccount({
      ...{ blobServiceUri: 'https://a.blob.core.windows.net', credential },
      queueServiceUri: 'https://a.queue.core.windows.net/',
    });
    expect([blobs.url, queues.url]).toEqual([
      'https://a.blob.core.windows.net/',
      'https://a.queue.core.windows.net/',
    ]);
  });

  it.each(['nonsense', 'AccountName=a;AccountKey=c2VjcmV0'])(
    'rejects %s without showing it',
    (connectionString) => {
      expect(() => openStorageAccount({ connectionString })).toThrow('The storage connection is not valid');
    },
  );
});

describe('ShardCache', () => {
  it('keeps the most recently used shards, up to its size', () => {
    const cache = new ShardCache(10);
    cache.put('a', new Uint8Array(4));
    cache.put('b', new Uint8Array(4));
    expect(cache.get('a')).toHaveLength(4);
    cache.put('c', new Uint8Array(4));
    expect([cache.get('a')?.length, cache.get('b'), cache.get('c')?.length]).toEqual([4, undefined, 4]);
    cache.put('a', new Uint8Array(6));
    expect([cache.get('a')?.length, cache.get('c')?.length]).toEqual([6, 4]);
    cache.put('large', new Uint8Array(11));
    expect(['large', 'a', 'c'].map((name) => cache.get(name)?.length)).toEqual([undefined, 6, 4]);
    // The space of replaced and dropped shards is free again.
    cache.put('b', new Uint8Array(6));
    expect(['a', 'b', 'c'].map((name) => cache.get(name)?.length)).toEqual([undefined, 6, 4]);
  });
});

import { randomBytes } from 'node:crypto';
import { BlobServiceClient, type ContainerClient } from '@azure/storage-blob';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Kept } from '../../src/config/parse-settings.ts';
import { ConflictError } from '../../src/errors.ts';
import { openBlobs } from '../../src/storage/account.ts';
import { DatabaseBlob } from '../../src/storage/database/database-blob.ts';
import { type DatabaseVersion, DatabaseVersions } from '../../src/storage/database/database-versions.ts';
import { restoreVersion } from '../../src/storage/database/restore-version.ts';
import { type Azurite, startAzurite } from '../azurite.ts';
import { type FaultyProxy, startFaultyProxy } from '../faulty-proxy.ts';
import { isLong } from '../long.ts';
import { startVersionedAccount } from './versioned-account.ts';
import { commitFile, loadFile } from './whole-file.ts';

const kib = 1024;
const blockSize = 4 * kib;
const name = 'dataverse.db';
let azurite: Azurite;
let proxy: FaultyProxy;
let containers = 0;

beforeAll(async () => {
  azurite = await startAzurite();
  proxy = await startFaultyProxy(azurite.blobPort);
});
afterEach(() => {
  proxy.fault = () => 'none';
});
afterAll(async () => {
  await proxy.close();
  await azurite.stop();
});

/** The account behind the proxy. With one try, a refused request is the end of the process. */
function throughProxy(maxTries: number): BlobServiceClient {
  const connectionString = azurite.connectionString.replaceAll(`:${azurite.blobPort}/`, `:${proxy.port}/`);
  return BlobServiceClient.fromConnectionString(connectionString, {
    retryOptions: { maxTries, retryDelayInMs: 1 },
  });
}

function open(container: ContainerClient, options: { keep?: Kept; now?: () => Date } = {}) {
  const warnings: string[] = [];
  const warn = (message: string, error: unknown) => void warnings.push(`${message}: ${error}`);
  const versions = new DatabaseVersions(container, name, { warn, ...options });
  const beforeCommit = (etag: string) => versions.beforeCommit(etag);
  const blob = new DatabaseBlob(container, name, {
    layout: [{ size: blockSize, count: 1000 }],
    beforeCommit,
  });
  const commit = async (bytes: Buffer): Promise<string> =>
    (await commitFile(blob, bytes, { etag: (await blob.currentEtag()) ?? 'absent' })).etag;
  const snapshots = async () => (await versions.list()).filter(({ kind }) => kind === 'snapshot');
  const content = (version: DatabaseVersion) => versions.read(version).downloadToBuffer();
  const bytes = async () => {
    const loaded = await loadFile(blob);
    return typeof loaded === 'string' ? undefined : loaded.bytes;
  };
  return { container, versions, blob, commit, snapshots, content, bytes, warnings };
}

function fresh(options?: Parameters<typeof open>[1], service = openBlobs(azurite)) {
  containers += 1;
  return open(service.getContainerClient(`versions${containers}`), options);
}

/** States that differ in one block each. */
function statesOf(count: number): Buffer[] {
  const first = randomBytes(4 * blockSize);
  return Array.from({ length: count }, (_, n) => {
    const bytes = Buffer.from(first);
    bytes.writeUInt32LE(n, (n % 4) * blockSize);
    return bytes;
  });
}

async function commitAll(store: ReturnType<typeof open>, states: readonly Buffer[]) {
  const etags: string[] = [];
  for (const state of states) etags.push(await store.commit(state));
  return etags;
}

describe('commits', () => {
  it('keep the states that they replace, with their ETags and block lists', async () => {
    const store = fresh({ keep: { count: 10 } });
    const states = statesOf(4);
    const etags = await commitAll(store, states);
    const versions = await store.versions.list();
    expect(versions.map(({ kind }) => kind)).toEqual(['current', 'snapshot', 'snapshot', 'snapshot']);
    expect(versions.map(({ etag }) => etag)).toEqual([...etags].reverse());
    for (const [at, version] of versions.entries()) {
      expect((await store.content(version)).equals(states[3 - at]!)).toBe(true);
      const list = await store.versions.read(version).getBlockBlobClient().getBlockList('committed');
      expect(list.committedBlocks).toHaveLength(4);
    }
    expect(store.warnings).toEqual([]);
  });

  it('keep nothing without the setting, and no state that stays', async () => {
    for (const keep of [undefined, { count: 0 }]) {
      const off = fresh({ keep });
      await commitAll(off, statesOf(3));
      expect(await off.snapshots()).toEqual([]);
    }
    const store = fresh({ keep: { count: 3 } });
    const [state] = statesOf(1);
    await commitAll(store, [state!, state!, state!]);
    expect(await store.snapshots()).toEqual([]);
  });

  it('keep as many as the setting says, the newest', async () => {
    const store = fresh({ keep: { count: 2 } });
    const etags = await commitAll(store, statesOf(6));
    expect((await store.snapshots()).map(({ etag }) => etag)).toEqual([etags[4], etags[3]]);
  });

  it('keep as long as the setting says, counted from when a state was replaced, and always the newest', async () => {
    let hours = 0;
    const now = () => new Date(Date.now() + hours * 3_600_000);
    const store = fresh({ keep: { count: 1000, seconds: 7 * 86_400 }, now });
    const states = statesOf(6);
    await commitAll(store, states.slice(0, 4));
    expect(await store.snapshots()).toHaveLength(3);
    hours = 7 * 24 - 1;
    await store.commit(states[4]!);
    expect(await store.snapshots()).toHaveLength(4);
    hours = 7 * 24 + 1;
    const last = await store.blob.currentEtag();
    await store.commit(states[5]!);
    expect((await store.snapshots()).map(({ etag }) => etag)).toEqual([last]);
  });

  it('delete at most fifty at once', async () => {
    const store = fresh({ keep: { count: 1 } });
    await store.commit(statesOf(1)[0]!);
    const blob = store.container.getBlobClient(name);
    for (let n = 0; n < 55; n++) await blob.createSnapshot();
    await store.commit(randomBytes(blockSize));
    expect(await store.snapshots()).toHaveLength(5);
    await store.commit(randomBytes(blockSize));
    expect(await store.snapshots()).toHaveLength(1);
  });

  it('are made if a snapshot cannot be taken or deleted, with a warning', async () => {
    const service = throughProxy(1);
    const store = fresh({ keep: { count: 1 } }, service);
    const states = statesOf(5);
    await store.commit(states[0]!);
    for (const [at, operation] of [/^PUT .*comp=snapshot/, /^DELETE /, /^GET .*comp=list/].entries()) {
      proxy.fault = ({ method, url }) =>
        operation.test(`${method} ${url}`) ? { status: 403, code: 'AuthorizationFailure' } : 'none';
      // The second snapshot is the first that there is one to delete beside.
      if (at === 1) {
        proxy.fault = () => 'none';
        await store.commit(states[4]!);
        proxy.fault = ({ method }) => (method === 'DELETE' ? { status: 403 } : 'none');
      }
      await store.commit(states[at + 1]!);
      expect((await store.bytes())!.equals(states[at + 1]!)).toBe(true);
      expect(store.warnings.splice(0)).toEqual([
        expect.stringMatching(/^An earlier state of dataverse\.db could not be kept.*403/),
      ]);
    }
  });

  it('leave no second snapshot of a state if the process dies between snapshot and commit', async () => {
    const store = fresh({ keep: { count: 10 } }, throughProxy(1));
    const [first, second] = statesOf(2);
    const etag = await store.commit(first!);
    proxy.fault = ({ method, url }) => (method === 'PUT' && /comp=blocklist/.test(url!) ? 'refuse' : 'none');
    await expect(store.commit(second!)).rejects.toThrow();
    expect((await store.snapshots()).map((one) => one.etag)).toEqual([etag]);
    proxy.fault = () => 'none';
    await store.commit(second!);
    expect((await store.snapshots()).map((one) => one.etag)).toEqual([etag]);
  });

  it('lose a race as before', async () => {
    const store = fresh({ keep: { count: 10 } });
    const [first, second, third] = statesOf(3);
    const etag = await store.commit(first!);
    await store.commit(second!);
    await expect(commitFile(store.blob, third!, { etag })).rejects.toBeInstanceOf(ConflictError);
    expect(store.warnings).toEqual([]);
  });
});

describe('a restore', () => {
  /** Four states, the last one current. The second one is to be restored. */
  async function four(service?: BlobServiceClient) {
    const store = fresh({ keep: { count: 10 } }, service);
    const states = statesOf(4);
    const etags = await commitAll(store, states);
    const version = (await store.snapshots()).find(({ etag }) => etag === etags[1])!;
    const restore = (expected = etags[3]) =>
      restoreVersion(store.container, store.versions, version, expected);
    return { ...store, states, etags, version, restore };
  }

  it('writes only what differs, and leaves the block list of the version', async () => {
    const store = await four();
    const blob = store.container.getBlockBlobClient(name);
    const before = await store.versions.read(store.version).getBlockBlobClient().getBlockList('committed');
    const restored = await store.restore();
    // Each state differs from the first one in one block of its own.
    expect(restored).toMatchObject({ blocks: 4, stagedBlocks: 2, stagedBytes: 2 * blockSize });
    expect((await store.bytes())!.equals(store.states[1]!)).toBe(true);
    expect((await blob.getBlockList('committed')).committedBlocks).toEqual(before.committedBlocks);
    const { contentType, metadata, etag } = await blob.getProperties();
    expect([contentType, etag]).toEqual(['application/vnd.sqlite3', restored.etag]);
    expect(metadata).toMatchObject({ restoredfrom: store.version.committedAt.toISOString() });
    // The next commit uploads what it changes, and the state that was replaced can be restored.
    const next = await commitFile(store.blob, store.states[2]!, { etag: restored.etag });
    expect(next.stagedBlocks).toBe(2);
    expect((await store.snapshots()).map((one) => one.etag)).toContain(store.etags[3]);
  });

  it.each([3, 4])(
    'does not trust the block ids of another program, which numbers %i blocks',
    async (count) => {
      const store = fresh({ keep: { count: 10 } });
      const blob = store.container.getBlockBlobClient(name);
      await store.container.createIfNotExists();
      const upload = async (blocks: Buffer[]): Promise<Buffer> => {
        const ids = blocks.map((_, index) => Buffer.from(`block-${index}`).toString('base64'));
        for (const [index, block] of blocks.entries())
          await blob.stageBlock(ids[index]!, block, block.length);
        await blob.commitBlockList(ids);
        return Buffer.concat(blocks);
      };
      const first = await upload(Array.from({ length: 3 }, () => randomBytes(5_000)));
      await store.versions.keep((await store.blob.currentEtag())!);
      await upload(Array.from({ length: count }, () => randomBytes(5_000)));
      const [version] = await store.snapshots();
      await restoreVersion(store.container, store.versions, version!, await store.blob.currentEtag());
      expect((await store.bytes())!.equals(first)).toBe(true);
    },
  );

  it('can be undone and repeated', async () => {
    const store = await four();
    const { etag } = await store.restore();
    expect(await store.restore(etag)).toMatchObject({ etag, stagedBlocks: 0 });
    const undo = (await store.versions.list()).find((one) => one.etag === store.etags[3])!;
    await restoreVersion(store.container, store.versions, undo, etag);
    expect((await store.bytes())!.equals(store.states[3]!)).toBe(true);
  });

  it('of a state that another writer has replaced changes nothing', async () => {
    const store = await four();
    const state = randomBytes(blockSize);
    await store.commit(state);
    await expect(store.restore()).rejects.toBeInstanceOf(ConflictError);
    expect((await store.bytes())!.equals(state)).toBe(true);
  });

  it('that another writer overtakes at the last moment changes nothing', async () => {
    const store = await four(throughProxy(1));
    const other = open(openBlobs(azurite).getContainerClient(store.container.containerName));
    const state = randomBytes(blockSize);
    let isOvertaken = false;
    const real = store.container.getBlockBlobClient.bind(store.container);
    store.container.getBlockBlobClient = (blobName) => {
      const client = real(blobName);
      const commitBlockList = client.commitBlockList.bind(client);
      client.commitBlockList = async (...args) => {
        if (!isOvertaken) await other.commit(state);
        isOvertaken = true;
        return commitBlockList(...args);
      };
      return client;
    };
    await expect(store.restore()).rejects.toThrow('Another writer committed dataverse.db meanwhile.');
    expect((await store.bytes())!.equals(state)).toBe(true);
  });

  it('whose response is lost has succeeded', async () => {
    const store = await four(throughProxy(3));
    let losses = 1;
    proxy.fault = ({ method, url }) =>
      method === 'PUT' && url!.includes('comp=blocklist') && losses-- > 0 ? 'lose-answer' : 'none';
    await store.restore();
    expect(losses).toBeLessThan(0);
    expect((await store.bytes())!.equals(store.states[1]!)).toBe(true);
  });

  it.each(['refuse', 'lose-answer'] as const)(
    'that dies at any request (%s) is whole, and can be repeated',
    async (way) => {
      let kills = 0;
      // The ways take turns at the requests; the long form tries both at each.
      const step = isLong ? 1 : 2;
      for (let at = isLong || way === 'refuse' ? 0 : 1; ; at += step) {
        const store = fresh({ keep: { count: 10 } }, throughProxy(1));
        const [first, second] = statesOf(2);
        const [, present] = await commitAll(store, [first!, second!]);
        const [version] = await store.snapshots();
        const restore = (expected = present) =>
          restoreVersion(store.container, store.versions, version!, expected);
        let requests = 0;
        proxy.fault = () => {
          requests += 1;
          return requests <= at ? 'none' : requests === at + 1 ? way : 'refuse';
        };
        const error = await restore().catch((fault: unknown) => fault);
        proxy.fault = () => 'none';
        const isRestored = (await store.bytes())!.equals(first!);
        if (!isRestored) expect((await store.bytes())!.equals(second!)).toBe(true);
        if (!(error instanceof Error)) {
          expect(isRestored).toBe(true);
          break;
        }
        kills += 1;
        await restore(await store.blob.currentEtag());
        expect((await store.bytes())!.equals(first!)).toBe(true);
        expect((await store.snapshots()).filter((one) => one.etag === present)).toHaveLength(1);
        const next = randomBytes(blockSize);
        await store.commit(next);
        expect((await store.bytes())!.equals(next)).toBe(true);
      }
      expect(kills).toBeGreaterThanOrEqual(8 / step);
    },
  );

  it('of a version without a block list costs the next commit a whole upload', async () => {
    const store = fresh({ keep: { count: 10 } });
    const [first, second] = statesOf(2);
    await store.commit(first!);
    const blob = store.container.getBlockBlobClient(name);
    await blob.upload(second!, second!.length);
    const { snapshot } = await blob.createSnapshot();
    const etag = await store.commit(first!);
    const version = (await store.versions.list()).find(({ id }) => id === snapshot)!;
    const restored = await restoreVersion(store.container, store.versions, version, etag);
    expect((await store.bytes())!.equals(second!)).toBe(true);
    const next = await commitFile(store.blob, first!, { etag: restored.etag });
    expect(next).toMatchObject({ blocks: 4, stagedBlocks: 4 });
    expect((await store.bytes())!.equals(first!)).toBe(true);
  });
});

describe('an account with versioning', () => {
  it('keeps versions by itself: commits take no snapshots, and a version is restored', async () => {
    const account = await startVersionedAccount(azurite);
    const service = BlobServiceClient.fromConnectionString(account.connectionString);
    const store = fresh({ keep: { count: 1 } }, service);
    const states = statesOf(4);
    const etags = await commitAll(store, states);
    expect(account.operations).not.toContain('PUT snapshot');
    expect(account.operations.some((one) => one.startsWith('DELETE'))).toBe(false);
    const versions = await store.versions.list();
    expect(versions.map(({ kind }) => kind)).toEqual(['current', 'version', 'version', 'version']);
    expect(versions.map(({ etag }) => etag)).toEqual([...etags].reverse());
    const restored = await restoreVersion(store.container, store.versions, versions[3]!, etags[3]);
    expect(restored.stagedBlocks).toBe(2);
    expect((await store.bytes())!.equals(states[0]!)).toBe(true);

    // Also after the blob was deleted.
    await store.container.deleteBlob(name);
    expect(await loadFile(store.blob)).toBe('absent');
    const left = await store.versions.list();
    expect(left.map(({ kind }) => kind)).toEqual(Array.from({ length: 5 }, () => 'version'));
    const wanted = left.find(({ etag }) => etag === etags[2])!;
    await restoreVersion(store.container, store.versions, wanted, undefined);
    expect((await store.bytes())!.equals(states[2]!)).toBe(true);
    expect(store.warnings).toEqual([]);
    await account.close();
  });
});

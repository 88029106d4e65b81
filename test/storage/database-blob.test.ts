import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigurationError, ConflictError, RetriableError } from '../../src/errors.ts';
import { loadSqlite } from '../../src/sqlite/sqlite.ts';
import { SqliteDatabase } from '../../src/sqlite/sqlite-database.ts';
import { openStorageAccount, type StorageAccount } from '../../src/storage/account.ts';
import { DatabaseBlob } from '../../src/storage/database/database-blob.ts';
import { type FileContent, wholeContent } from '../../src/storage/database/database-file.ts';
import { type Azurite, startAzurite } from '../azurite.ts';
import { type FaultyProxy, startFaultyProxy } from '../faulty-proxy.ts';
import { openIndependently } from '../sqlite/independent.ts';
import { commitFile, loadFile } from './whole-file.ts';

const kib = 1024;
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

function fresh(options?: ConstructorParameters<typeof DatabaseBlob>[2]) {
  containers += 1;
  const container = account.blobs.getContainerClient(`blobs${containers}`);
  const blob = new DatabaseBlob(container, 'dataverse.db', options);
  return { container, blob, another: () => new DatabaseBlob(container, 'dataverse.db', options) };
}

async function loaded(blob: DatabaseBlob): Promise<{ bytes: Buffer; etag: string }> {
  const state = await loadFile(blob);
  if (typeof state === 'string') throw new Error(state);
  return state;
}

describe('DatabaseBlob', () => {
  it('creates the container and the blob, and loads its bytes', async () => {
    const { blob, container } = fresh();
    expect(await loadFile(blob)).toBe('absent');
    const bytes = randomBytes(1000 * kib);
    const commit = await commitFile(blob, bytes, { etag: 'absent' });
    expect(commit).toEqual({ etag: commit.etag, blocks: 4, stagedBlocks: 4, stagedBytes: bytes.length });
    expect(await loadFile(blob)).toEqual({ bytes, etag: commit.etag });
    expect(await loadFile(blob, commit.etag)).toBe('unchanged');
    const properties = await container.getBlobClient('dataverse.db').getProperties();
    expect(properties.contentType).toBe('application/vnd.sqlite3');
  });

  it('rejects a file above the limit before it is downloaded', async () => {
    const { blob, container } = fresh();
    const bytes = randomBytes(300 * kib);
    await commitFile(blob, bytes, { etag: 'absent' });
    const limited = new DatabaseBlob(container, 'dataverse.db', { maxBytes: 200 * kib });
    const error = await loadFile(limited).catch((fault: unknown) => fault);
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(error).toMatchObject({
      message: 'dataverse.db has 307200 bytes, more than the limit of 204800.',
      hint: expect.stringContaining('SYNC_DATABASE_MAX_MB'),
    });
    const enough = new DatabaseBlob(container, 'dataverse.db', { maxBytes: 300 * kib });
    expect((await loaded(enough)).bytes).toEqual(bytes);
  });

  it('uploads only what changed, or nothing', async () => {
    const { blob, another } = fresh();
    const bytes = randomBytes(5000 * kib);
    const first = await commitFile(blob, bytes, { etag: 'absent' });
    bytes[1000 * kib] = 255 - bytes[1000 * kib]!;
    bytes[1001 * kib] = 255 - bytes[1001 * kib]!;
    const second = await commitFile(another(), bytes, { etag: first.etag });
    expect(second).toMatchObject({ blocks: 20, stagedBlocks: 1, stagedBytes: 256 * kib });
    expect(second.etag).not.toBe(first.etag);
    expect(await commitFile(another(), bytes, { etag: second.etag })).toEqual({
      ...{ etag: second.etag, blocks: 20, stagedBlocks: 0, stagedBytes: 0 },
    });
    const shrunk = bytes.subarray(0, 300 * kib);
    const third = await commitFile(another(), shrunk, { etag: second.etag });
    expect(third).toMatchObject({ blocks: 2, stagedBlocks: 1 });
    expect((await loaded(blob)).bytes.equals(shrunk)).toBe(true);
  });

  it('loads a file of several ranges', async () => {
    const { blob } = fresh({ layout: [{ size: 4096 * kib, count: 100 }] });
    const bytes = randomBytes(40_000 * kib + 1);
    const { etag } = await commitFile(blob, bytes, { etag: 'absent' });
    const state = await loaded(blob);
    expect(state.etag).toBe(etag);
    expect(state.bytes.equals(bytes)).toBe(true);
  });

  it('continues with larger blocks behind those that it has', async () => {
    const layout = [
      { size: 4 * kib, count: 10 },
      { size: 16 * kib, count: 4 },
    ];
    const { blob } = fresh({ layout });
    const bytes = randomBytes(104 * kib);
    const first = await commitFile(blob, bytes.subarray(0, 40 * kib), { etag: 'absent' });
    expect(first.blocks).toBe(10);
    const second = await commitFile(blob, bytes, { etag: first.etag });
    expect(second).toMatchObject({ blocks: 14, stagedBlocks: 4, stagedBytes: 64 * kib });
    expect((await loaded(blob)).bytes.equals(bytes)).toBe(true);
    const error = await commitFile(blob, randomBytes(104 * kib + 1), { etag: second.etag }).catch(
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(error).toMatchObject({ message: expect.stringContaining('more than the limit of 106496') });
  });

  it('reads and uploads only blocks that may have changed', async () => {
    const { blob, another } = fresh();
    const bytes = randomBytes(2000 * kib);
    const first = await commitFile(blob, bytes, { etag: 'absent' });
    bytes[700 * kib] = 255 - bytes[700 * kib]!;
    const read: number[] = [];
    const content: FileContent = {
      length: bytes.length,
      isChanged: (from, to) => from <= 700 * kib && to > 700 * kib,
      read(from, to) {
        read.push(from);
        return bytes.subarray(from, to);
      },
    };
    const second = await another().commit(content, { etag: first.etag });
    expect(second).toMatchObject({ blocks: 8, stagedBlocks: 1, stagedBytes: 256 * kib });
    expect(read).toEqual([512 * kib]);
    expect((await loaded(blob)).bytes.equals(bytes)).toBe(true);
  });

  it('uploads every block once where another layout stored the file, and logs it', async () => {
    const { blob, container } = fresh({ layout: [{ size: 128 * kib, count: 100 }] });
    const bytes = randomBytes(1000 * kib);
    const first = await commitFile(blob, bytes, { etag: 'absent' });
    const logged: object[] = [];
    const log = (_: string, properties: object) => logged.push(properties);
    const other = new DatabaseBlob(container, 'dataverse.db', { log });
    const unchanged = { ...wholeContent(bytes), isChanged: () => false };
    const second = await other.commit(unchanged, { etag: first.etag });
    expect(second).toMatchObject({ blocks: 4, stagedBlocks: 4 });
    expect(logged).toEqual([{ blocks: 4, bytes: bytes.length }]);
    expect(await other.commit(unchanged, { etag: second.etag })).toMatchObject({ stagedBlocks: 0 });
    expect((await loaded(blob)).bytes.equals(bytes)).toBe(true);
  });

  it('rejects a commit on another state', async () => {
    const { blob } = fresh();
    const first = await commitFile(blob, randomBytes(10), { etag: 'absent' });
    const second = await commitFile(blob, randomBytes(10), { etag: first.etag });
    await expect(commitFile(blob, randomBytes(10), { etag: first.etag })).rejects.toThrow(ConflictError);
    await expect(commitFile(blob, randomBytes(10), { etag: 'absent' })).rejects.toThrow(ConflictError);
    expect((await loaded(blob)).etag).toBe(second.etag);
  });

  it('commits after a process died while it staged the blocks of the first commit', async () => {
    const { blob, container } = fresh();
    await container.create();
    const id = Buffer.alloc(20, 1).toString('base64');
    await container.getBlockBlobClient('dataverse.db').stageBlock(id, 'a block', 7);
    expect(await loadFile(blob)).toBe('absent');
    const bytes = randomBytes(300 * kib);
    const { etag } = await commitFile(blob, bytes, { etag: 'absent' });
    expect(await loadFile(blob)).toEqual({ bytes, etag });
  });

  it('overwrites a blob that was uploaded in one piece', async () => {
    const { blob, container } = fresh();
    await container.create();
    const { etag } = await container.getBlockBlobClient('dataverse.db').upload('whole', 5);
    const bytes = randomBytes(300 * kib);
    await commitFile(blob, bytes, { etag: etag! });
    expect((await loaded(blob)).bytes.equals(bytes)).toBe(true);
    await container.getBlockBlobClient('dataverse.db').upload('', 0);
    expect((await loaded(blob)).bytes.length).toBe(0);
  });

  it.each(['absent', 'existing'])('lets one of several win a race on an %s blob', async (start) => {
    const { blob, another } = fresh();
    let etag: string = 'absent';
    if (start === 'existing') etag = (await commitFile(blob, randomBytes(900 * kib), { etag })).etag;
    for (let round = 0; round < 5; round++) {
      const writers = Array.from({ length: 4 }, () => randomBytes(1000 * kib));
      const results = await Promise.allSettled(
        writers.map((bytes) => commitFile(another(), bytes, { etag })),
      );
      const won = results.flatMap((result, index) =>
        result.status === 'fulfilled' ? [{ etag: result.value.etag, bytes: writers[index]! }] : [],
      );
      const lost = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
      expect(lost.every((error) => error instanceof ConflictError)).toBe(true);
      // Only a successful commit discards the blocks of others, so exactly one succeeds.
      expect(won).toHaveLength(1);
      const state = await loaded(blob);
      expect(state.etag).toBe(won[0]!.etag);
      expect(state.bytes.equals(won[0]!.bytes)).toBe(true);
      etag = won[0]!.etag;
    }
  });

  it('shows only complete databases to a reader during commits', async () => {
    const { blob, another } = fresh({ layout: [{ size: 16 * kib, count: 1000 }] });
    const sqlite = await loadSqlite();
    const db = SqliteDatabase.open(sqlite);
    db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, version INTEGER, filler TEXT)');
    let version = 0;
    const change = () => {
      version += 1;
      db.transaction(() => {
        db.run('UPDATE t SET version = ?, filler = hex(randomblob(300))', [version]);
        for (let i = 0; i < 50; i++)
          db.run('INSERT INTO t VALUES (NULL, ?, hex(randomblob(300)))', [version]);
      });
      return db.export();
    };
    let { etag } = await commitFile(blob, change(), { etag: 'absent' });
    let writing = true;
    const reads = (async () => {
      const seen = new Set<number>();
      while (writing) {
        // If it is replaced during each of several tries, loading fails with a ConflictError.
        const state = await loaded(another()).catch((error: unknown) => {
          if (error instanceof ConflictError) return undefined;
          throw error;
        });
        if (state === undefined) continue;
        const { bytes } = state;
        // It throws if the file is not complete.
        const independent = openIndependently(bytes);
        const found = independent
          .prepare('SELECT min(version) AS low, max(version) AS high, count(*) AS n FROM t')
          .get()!;
        expect(found['low']).toBe(found['high']);
        expect(found['n']).toBe(50 * Number(found['high']));
        seen.add(Number(found['high']));
        independent.close();
      }
      return seen;
    })();
    for (let i = 0; i < 25; i++) {
      ({ etag } = await commitFile(blob, change(), { etag }));
    }
    writing = false;
    expect((await reads).size).toBeGreaterThan(1);
    db.close();
  });

  it('recognizes its own commit if the response is lost', async () => {
    const { container } = fresh();
    const through = openStorageAccount({
      connectionString: azurite.connectionString.replace(`:${azurite.blobPort}/`, `:${proxy.port}/`),
    }).blobs.getContainerClient(container.containerName);
    const blob = new DatabaseBlob(through, 'dataverse.db');
    let lost = 0;
    proxy.fault = (request) => {
      const commit = request.method === 'PUT' && request.url!.includes('comp=blocklist');
      if (!commit || lost > 0) return 'none';
      lost += 1;
      return 'lose-answer';
    };
    const bytes = randomBytes(300 * kib);
    const { etag } = await commitFile(blob, bytes, { etag: 'absent' });
    expect(lost).toBe(1);
    expect(await loadFile(blob)).toEqual({ bytes, etag });
    proxy.fault = () => 'none';
  });

  it('names a lease that another program holds, and commits after it is broken', async () => {
    const { blob, container } = fresh();
    const { etag } = await commitFile(blob, randomBytes(300 * kib), { etag: 'absent' });
    const lease = container.getBlobClient('dataverse.db').getBlobLeaseClient();
    await lease.acquireLease(-1);
    const bytes = randomBytes(300 * kib);
    const error = await commitFile(blob, bytes, { etag }).catch((fault: unknown) => fault);
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(error).toMatchObject({
      message: 'Cannot commit dataverse.db: another program holds a lease on it',
      hint: expect.stringContaining('break the lease'),
    });
    await lease.breakLease(0);
    await commitFile(blob, bytes, { etag });
    expect((await loaded(blob)).bytes).toEqual(bytes);
  });

  it.each([
    ['BlobArchived', 'archive tier'],
    ['BlobBeingRehydrated', 'rehydrated'],
    ['BlobImmutableDueToPolicy', 'immutability policy'],
  ])('names the state of a blob that answers 409 %s', async (code, what) => {
    const through = openStorageAccount({
      connectionString: azurite.connectionString.replace(`:${azurite.blobPort}/`, `:${proxy.port}/`),
    }).blobs.getContainerClient('faults');
    proxy.fault = () => ({ status: 409, code });
    const blob = new DatabaseBlob(through, 'dataverse.db');
    const error = await commitFile(blob, randomBytes(10), { etag: 'absent' }).catch(
      (fault: unknown) => fault,
    );
    proxy.fault = () => 'none';
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(error).toMatchObject({ message: expect.stringContaining(what), hint: expect.any(String) });
  });

  it('maps the failures of the service', async () => {
    const through = openStorageAccount({
      connectionString: azurite.connectionString.replace(`:${azurite.blobPort}/`, `:${proxy.port}/`),
    }).blobs.getContainerClient('faults');
    const blob = new DatabaseBlob(through, 'dataverse.db');
    proxy.fault = () => ({ status: 403 });
    const refused = await loadFile(blob).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ConfigurationError);
    // The client's own error holds the request with its authorization header.
    expect(inspect(refused, { depth: 10, showHidden: true })).not.toMatch(/SharedKey/);
    proxy.fault = () => ({ status: 429 });
    await expect(commitFile(blob, randomBytes(10), { etag: 'absent' })).rejects.toThrow(RetriableError);
    proxy.fault = () => 'none';
  });
});

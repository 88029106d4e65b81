import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConflictError, SyncError } from '../../src/errors.ts';
import { openStorageAccount } from '../../src/storage/account.ts';
import { DatabaseBlob } from '../../src/storage/database/database-blob.ts';
import type { DatabaseFile } from '../../src/storage/database/database-file.ts';
import type { DocumentStore } from '../../src/storage/document-store.ts';
import { FolderStore } from '../../src/storage/folder/folder-store.ts';
import { LocalDatabase } from '../../src/storage/folder/local-database.ts';
import { WorkStore } from '../../src/storage/work-store.ts';
import { type Azurite, startAzurite } from '../azurite.ts';
import { commitFile, loadFile } from '../storage/whole-file.ts';
import { memoryStorage } from './memory-storage.ts';

/** A document store and a database file in one container that does not exist yet. */
interface Container {
  documents: DocumentStore;
  file: DatabaseFile;
}

let azurite: Azurite;
beforeAll(async () => {
  azurite = await startAzurite();
});
const folders: string[] = [];
afterAll(async () => {
  for (const folder of folders) rmSync(folder, { recursive: true });
  await azurite.stop();
});

const containers: Record<string, () => Container> = {
  'the storage in memory': () => {
    const { published, databaseFile } = memoryStorage();
    return { documents: published, file: databaseFile };
  },
  'a folder': () => {
    const folder = mkdtempSync(join(tmpdir(), 'contract-'));
    folders.push(folder);
    const file = new LocalDatabase(join(folder, 'dataverse.db'));
    return { documents: new FolderStore(folder), file };
  },
  'Azure Storage': () => {
    const { blobs } = openStorageAccount({ connectionString: azurite.connectionString });
    const container = blobs.getContainerClient(`contract-${randomBytes(5).toString('hex')}`);
    return { documents: new WorkStore(container), file: new DatabaseBlob(container, 'dataverse.db') };
  },
};

async function names(documents: DocumentStore, prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of documents.list(prefix)) found.push(name);
  return found;
}

describe.each(Object.keys(containers))('documents in %s', (where) => {
  const create = () => containers[where]!().documents;

  it('do not exist in a container that does not exist', async () => {
    const documents = create();
    expect(await documents.read('a.json')).toBeUndefined();
    expect(await documents.getBytes('a')).toBeUndefined();
    expect(await names(documents, '')).toEqual([]);
    expect(await documents.deletePrefix('')).toBe(0);
    expect(await documents.deleteIfUnchanged('a.json', '"1"')).toBe(false);
    await expect(documents.replaceIfUnchanged('a.json', {}, '"1"')).rejects.toThrow(ConflictError);
  });

  it('take text at the end, and give their end', async () => {
    const documents = create();
    expect(await documents.readEnd('a/b.jsonl', 10)).toBeUndefined();
    await documents.append('a/b.jsonl', 'één\n');
    await documents.append('a/b.jsonl', 'twee\n');
    expect((await documents.readEnd('a/b.jsonl', 5))!.toString()).toBe('twee\n');
    expect((await documents.readEnd('a/b.jsonl', 1000))!.toString()).toBe('één\ntwee\n');
    expect(await names(documents, 'a/')).toEqual(['a/b.jsonl']);
    // Of several writers none loses its text.
    await Promise.all(Array.from({ length: 8 }, (_, n) => documents.append('a/c.jsonl', `${n}\n`)));
    const all = (await documents.readEnd('a/c.jsonl', 100))!.toString();
    expect(all.trim().split('\n').sort().join('')).toBe('01234567');
    expect(await documents.deletePrefix('a/')).toBe(2);
    expect(await documents.readEnd('a/b.jsonl', 10)).toBeUndefined();
  });

  it('are created once, by one of many', async () => {
    const documents = create();
    const created = await Promise.all([1, 2, 3, 4].map((n) => documents.createIfAbsent('a.json', { n })));
    expect(created.filter(Boolean)).toHaveLength(1);
    const { value } = (await documents.read('a.json'))!;
    expect(value).toEqual({ n: created.indexOf(true) + 1 });
    // A document that was deleted can be created again.
    expect(await documents.deletePrefix('a.json')).toBe(1);
    expect(await documents.createIfAbsent('a.json', {})).toBe(true);
  });

  it('keep what JSON keeps', async () => {
    const documents = create();
    await documents.put('a.json', {
      text: 'ä🙂',
      none: undefined,
      list: [1, null],
      deep: { date: new Date(0) },
    });
    expect((await documents.read('a.json'))!.value).toEqual({
      text: 'ä🙂',
      list: [1, null],
      deep: { date: '1970-01-01T00:00:00.000Z' },
    });
    // What was read is a copy.
    const first = (await documents.read<{ list: number[] }>('a.json'))!.value;
    first.list.push(2);
    expect((await documents.read<{ list: number[] }>('a.json'))!.value.list).toEqual([1, null]);
  });

  it('are replaced and deleted only if they did not change', async () => {
    const documents = create();
    await documents.put('a.json', 1);
    const first = (await documents.read('a.json'))!.etag;
    const second = await documents.replaceIfUnchanged('a.json', 2, first);
    expect(second).not.toBe(first);
    expect(await documents.read('a.json')).toEqual({ value: 2, etag: second, length: 1 });
    await expect(documents.replaceIfUnchanged('a.json', 3, first)).rejects.toThrow(ConflictError);
    await expect(documents.deleteIfUnchanged('a.json', first)).rejects.toThrow(ConflictError);
    await documents.put('a.json', 2);
    // The same content written again is another state.
    await expect(documents.replaceIfUnchanged('a.json', 3, second)).rejects.toThrow(ConflictError);
    const third = (await documents.read('a.json'))!.etag;
    expect(await documents.deleteIfUnchanged('a.json', third)).toBe(true);
    expect(await documents.deleteIfUnchanged('a.json', third)).toBe(false);
    await expect(documents.replaceIfUnchanged('a.json', 4, third)).rejects.toThrow(ConflictError);
  });

  it('are replaced by one of many', async () => {
    const documents = create();
    await documents.put('a.json', 0);
    const { etag } = (await documents.read('a.json'))!;
    const results = await Promise.allSettled(
      [1, 2, 3, 4].map((n) => documents.replaceIfUnchanged('a.json', n, etag)),
    );
    const won = results.findIndex(({ status }) => status === 'fulfilled');
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect((await documents.read('a.json'))!.value).toBe(won + 1);
  });

  it('are bytes and texts, too', async () => {
    const documents = create();
    const bytes = randomBytes(100_000);
    await documents.putBytes('a.db', bytes);
    bytes.fill(0, 0, 10);
    const stored = (await documents.getBytes('a.db'))!;
    expect(stored.equals(bytes)).toBe(false);
    expect(stored.subarray(10).equals(bytes.subarray(10))).toBe(true);
    await documents.putText('a.md', '# ä', 'text/markdown; charset=utf-8');
    expect((await documents.getBytes('a.md'))!.toString()).toBe('# ä');
    await expect(documents.read('a.md')).rejects.toThrow(SyncError);
    await expect(documents.read('a.md')).rejects.toThrow('a.md is not JSON');
  });

  it('are listed and deleted by the beginning of their names, in order', async () => {
    const documents = create();
    const before = Date.now() - 5000;
    for (const name of ['runs/2/a', 'runs/1/b', 'runs/12/c', 'runs/1/a']) await documents.put(name, {});
    expect(await names(documents, 'runs/1')).toEqual(['runs/1/a', 'runs/1/b', 'runs/12/c']);
    for await (const { lastModified } of documents.list('')) {
      expect(lastModified.getTime()).toBeGreaterThan(before);
      expect(lastModified.getTime()).toBeLessThan(Date.now() + 5000);
    }
    expect(await documents.deletePrefix('runs/1/')).toBe(2);
    expect(await names(documents, '')).toEqual(['runs/12/c', 'runs/2/a']);
  });
});

describe.each(Object.keys(containers))('a database file in %s', (where) => {
  const create = () => containers[where]!().file;

  it('has one state after the other', async () => {
    const file = create();
    expect(await loadFile(file)).toBe('absent');
    expect(await loadFile(file, '"1"')).toBe('absent');
    expect(await file.currentEtag()).toBeUndefined();
    const bytes = randomBytes(600_000);
    const first = await commitFile(file, bytes, { etag: 'absent' });
    expect(first).toMatchObject({ stagedBytes: bytes.length });
    expect(first.stagedBlocks).toBe(first.blocks);
    expect(await loadFile(file)).toEqual({ bytes, etag: first.etag });
    expect(await file.currentEtag()).toBe(first.etag);
    expect(await loadFile(file, first.etag)).toBe('unchanged');

    const other = randomBytes(10);
    const second = await commitFile(file, other, { etag: first.etag });
    expect(second.etag).not.toBe(first.etag);
    expect(second).toMatchObject({ stagedBlocks: 1, stagedBytes: 10 });
    expect(await loadFile(file, first.etag)).toEqual({ bytes: other, etag: second.etag });
  });

  it('is read in parts, as long as it stays in its state', async () => {
    const file = create();
    const bytes = randomBytes(600_000);
    const { etag } = await commitFile(file, bytes, { etag: 'absent' });
    const stored = await file.open();
    if (typeof stored === 'string') throw new Error(stored);
    expect(stored).toMatchObject({ etag, length: bytes.length });
    const parts = [0, 123_456, 599_999].map((at) => ({
      at,
      into: new Uint8Array(Math.min(1000, 600_000 - at)),
    }));
    await stored.read(parts);
    for (const { at, into } of parts) expect(bytes.subarray(at, at + into.length).equals(into)).toBe(true);
    await commitFile(file, randomBytes(600_000), { etag });
    await expect(stored.read(parts)).rejects.toThrow(ConflictError);
  });

  it('says which blocks it has, and which of them are new', async () => {
    const { file, documents } = containers[where]!();
    expect(await file.blocks()).toBeUndefined();
    const bytes = randomBytes(600_000);
    const { etag } = await commitFile(file, bytes, { etag: 'absent' });
    const before = (await file.blocks())!;
    expect(before).toMatchObject({ etag, length: bytes.length });
    expect(before.blocks.length).toBeGreaterThan(1);
    let end = 0;
    for (const { from, to } of before.blocks) {
      expect(from).toBe(end);
      end = to;
    }
    expect(end).toBe(bytes.length);
    bytes[599_999]! ^= 1;
    const second = await commitFile(file, bytes, { etag });
    const after = (await file.blocks())!;
    expect(after.etag).toBe(second.etag);
    const known = new Set(before.blocks.map(({ id }) => id));
    expect(after.blocks.filter(({ id }) => !known.has(id))).toEqual([after.blocks.at(-1)]);
    // A file that another program wrote in one piece.
    await documents.putBytes('dataverse.db', bytes.subarray(0, 500_000));
    const uploaded = (await file.blocks())!;
    expect(uploaded).toMatchObject({ etag: await file.currentEtag(), length: 500_000 });
    expect(uploaded.blocks.at(-1)!.to).toBe(500_000);
  });

  it('stays in its state where a commit changes nothing', async () => {
    const file = create();
    const bytes = randomBytes(1000);
    const { etag } = await commitFile(file, bytes, { etag: 'absent' });
    expect(await commitFile(file, bytes, { etag })).toMatchObject({ etag, stagedBlocks: 0, stagedBytes: 0 });
    expect(await file.currentEtag()).toBe(etag);
  });

  it('accepts no commit on another state, and one of many', async () => {
    const file = create();
    const [one, two] = [randomBytes(10), randomBytes(10)];
    await expect(commitFile(file, one, { etag: '"1"' })).rejects.toThrow(ConflictError);
    const { etag } = await commitFile(file, one, { etag: 'absent' });
    await expect(commitFile(file, two, { etag: 'absent' })).rejects.toThrow(ConflictError);
    await expect(commitFile(file, new Uint8Array(), { etag })).rejects.toThrow(SyncError);
    const results = await Promise.allSettled(
      [1, 2, 3].map((n) => commitFile(file, Buffer.from([n, ...two]), { etag })),
    );
    const won = results.findIndex(({ status }) => status === 'fulfilled');
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const loaded = await loadFile(file);
    expect(typeof loaded === 'string' ? loaded : loaded.bytes[0]).toBe(won + 1);
  });

  it('gives its bytes away', async () => {
    const file = create();
    const bytes = randomBytes(10);
    const expected = Buffer.from(bytes);
    await commitFile(file, bytes, { etag: 'absent' });
    for (let n = 0; n < 2; n++) {
      const loaded = await loadFile(file);
      if (typeof loaded === 'string') throw new Error(loaded);
      expect(loaded.bytes).toEqual(expected);
      loaded.bytes.fill(0);
    }
    bytes.fill(0);
    expect(await loadFile(file)).toMatchObject({ bytes: expected });
  });
});

it('a folder does not let a line that was cut take the next one with it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'contract-'));
  folders.push(folder);
  const documents = new FolderStore(folder);
  await documents.append('a.jsonl', 'one\n');
  await documents.append('a.jsonl', 'tw');
  await documents.append('a.jsonl', 'three\n');
  await documents.append('a.jsonl', 'four\n');
  expect((await documents.getBytes('a.jsonl'))!.toString()).toBe('one\ntw\nthree\nfour\n');
});

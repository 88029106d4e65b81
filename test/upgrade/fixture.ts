import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { FetchMessage, MergeMessage } from '../../src/sync/documents/messages.ts';
import type { SyncStorage } from '../../src/sync-services.ts';
import { commitFile, loadFile } from '../storage/whole-file.ts';
import type { OrganisationDescription } from './organisation.ts';

/** Blobs of one container by name: text, or bytes in base64. */
export type Blobs = Record<string, { text: string } | { base64: string }>;

/** What a run left in storage at one moment. */
export interface StorageContent {
  /** The database; the other blobs of its container are in `published`. */
  database: Buffer;
  published: Blobs;
  work: Blobs;
}

/** A run that ended in the middle: the storage, and the messages that waited in the queues. */
export interface InterruptedRun {
  published: Blobs;
  work: Blobs;
  fetch: FetchMessage[];
  merge: MergeMessage[];
}

/** Campaign metrics: the blobs of the journal and of poison. */
export type MetricsBlobs = Record<string, { type: string; metadata: Record<string, string>; text: string }>;

export interface Fixture {
  organisation: OrganisationDescription;
  /** After a complete run. The organisation has changed since then. */
  complete: StorageContent;
  /** The next run, stopped between two slices of a table; on the same database. */
  midFetch: InterruptedRun;
  /** The same run, stopped between the last fetch and the merge. */
  beforeMerge: InterruptedRun;
  metrics: MetricsBlobs;
}

const fixtures = join(import.meta.dirname, 'fixtures');

/** The releases that have a fixture, oldest first. */
export const releases = (): string[] => (existsSync(fixtures) ? readdirSync(fixtures).sort() : []);

/** @throws where the release has a fixture already: a fixture never changes */
export function writeFixture(release: string, fixture: Fixture): void {
  const folder = join(fixtures, release);
  mkdirSync(fixtures, { recursive: true });
  mkdirSync(folder);
  const { database, ...complete } = fixture.complete;
  writeFileSync(join(folder, 'dataverse.db.gz'), gzipSync(database, { level: 9 }));
  const documents = { ...fixture, complete };
  for (const [name, value] of Object.entries(documents)) {
    writeFileSync(
      join(folder, `${name}.json.gz`),
      gzipSync(JSON.stringify(value, writeBigInt), { level: 9 }),
    );
  }
}

export function readFixture(release: string): Fixture {
  const folder = join(fixtures, release);
  const unpacked = (name: string): Buffer => gunzipSync(readFileSync(join(folder, name)));
  const document = (name: string) => JSON.parse(unpacked(`${name}.json.gz`).toString(), readBigInt);
  return {
    organisation: document('organisation'),
    complete: { ...document('complete'), database: unpacked('dataverse.db.gz') },
    midFetch: document('midFetch'),
    beforeMerge: document('beforeMerge'),
    metrics: document('metrics'),
  };
}

const writeBigInt = (_: string, value: unknown) =>
  typeof value === 'bigint' ? { bigint: String(value) } : value;

const readBigInt = (_: string, value: unknown) => {
  const { bigint } = (value ?? {}) as { bigint?: unknown };
  return typeof bigint === 'string' ? BigInt(bigint) : value;
};

/** The storage as it stands. */
export async function readStorage({ work, published, databaseFile }: SyncStorage): Promise<StorageContent> {
  const database = await loadFile(databaseFile);
  if (typeof database === 'string') throw new Error(`the database is ${database}`);
  const { 'dataverse.db': _, ...documents } = await blobsIn(published);
  return { database: database.bytes, published: documents, work: await blobsIn(work) };
}

async function blobsIn(store: SyncStorage['work']): Promise<Blobs> {
  const blobs: Blobs = {};
  for await (const { name } of store.list('')) {
    const bytes = (await store.getBytes(name))!;
    blobs[name] = /\.(?:json|md)$/.test(name)
      ? { text: bytes.toString() }
      : { base64: bytes.toString('base64') };
  }
  return blobs;
}

/**
 * Puts the content of a fixture into empty storage, for an organisation that has another address now.
 * @param options `foreign`: state.json names the ETag of another database, as after a copy between accounts
 */
export async function restoreStorage(
  { work, published, databaseFile }: SyncStorage,
  content: StorageContent,
  address: { from: string; to: string },
  options: { foreign?: boolean } = {},
): Promise<void> {
  const { etag } = await commitFile(databaseFile, moveDatabase(content.database, address), {
    etag: 'absent',
  });
  for (const [name, blob] of Object.entries(content.work)) await put(work, name, blob);
  for (const [name, blob] of Object.entries(content.published)) {
    const isState = name === 'state.json' && 'text' in blob && !options.foreign;
    // Storage gives every blob a new ETag.
    const own = isState && { text: JSON.stringify({ ...JSON.parse(blob.text), ...tagged(blob.text, etag) }) };
    await put(published, name, own || blob);
  }

  async function put(store: SyncStorage['work'], name: string, blob: Blobs[string]): Promise<void> {
    const bytes =
      'text' in blob
        ? Buffer.from(blob.text.replaceAll(address.from, address.to))
        : Buffer.from(blob.base64, 'base64');
    await store.putBytes(name, bytes);
  }
}

/** The members of state.json that name the database's ETag. */
function tagged(text: string, etag: string): object {
  const { databaseEtag, files } = JSON.parse(text) as { databaseEtag: string; files?: { etag?: string } };
  return files?.etag === databaseEtag
    ? { databaseEtag: etag, files: { ...files, etag } }
    : { databaseEtag: etag };
}

/** The database with the organisation's new address in its delta links. */
function moveDatabase(bytes: Buffer, { from, to }: { from: string; to: string }): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'upgrade-'));
  const file = join(folder, 'dataverse.db');
  try {
    writeFileSync(file, bytes);
    const db = new DatabaseSync(file);
    db.prepare(
      'UPDATE _sync_state SET delta_link = replace(delta_link, :from, :to), state = replace(state, :from, :to)',
    ).run({ from, to });
    db.close();
    return readFileSync(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * What each stage of a first sync costs alone, on the same rows, and the least that such a stage can cost here: processor
 * seconds of this process. The service and the storage emulator have processes of their own. Usage: stages.ts URL METADATA LOGICAL_NAME,…
 */
import { isUtf8 } from 'node:buffer';
import { createHash, hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { DatabaseSync } from 'node:sqlite';
import { gunzipSync } from 'node:zlib';
import { BlobSASPermissions, BlobServiceClient, type BlockBlobClient } from '@azure/storage-blob';
import { createDataverseClient, type Page } from '../../src/dataverse/client.ts';
import { createCredential } from '../../src/dataverse/credential.ts';
import { parseCsdl } from '../../src/schema/csdl.ts';
import { createTableSql, quoteIdentifier as quote } from '../../src/schema/sql.ts';
import { resolveTables } from '../../src/schema/tables-from-csdl.ts';
import { emptyDatabase } from '../../src/sqlite/empty-database.ts';
import { chunkSize, PagedFile } from '../../src/sqlite/paged/paged-file.ts';
import { allocateChunks, ResidentChunks } from '../../src/sqlite/paged/resident-chunks.ts';
import { RecordScanner } from '../../src/sqlite/record-scanner.ts';
import { Shard } from '../../src/sqlite/shard.ts';
import { loadSqlite } from '../../src/sqlite/sqlite.ts';
import { SqliteDatabase } from '../../src/sqlite/sqlite-database.ts';
import { DatabaseBlob } from '../../src/storage/database/database-blob.ts';
import { wholeContent } from '../../src/storage/database/database-file.ts';
import { WorkStore } from '../../src/storage/work-store.ts';
import { rowVersion } from '../../src/sync/fetch/row-version.ts';
import { mergeTable } from '../../src/target/sqlite/rows/merge-table.ts';
import { createBookkeeping } from '../../src/target/sqlite/tables/bookkeeping.ts';
import { startOwnAzurite } from '../azurite.ts';

const [url, metadata, names] = process.argv.slice(2);
const { tables } = resolveTables(parseCsdl(readFileSync(metadata!, 'utf8')), [], names!.split(','));
const sqlite = await loadSqlite();
const azurite = await startOwnAzurite();
const container = BlobServiceClient.fromConnectionString(azurite.connectionString).getContainerClient(
  'bench',
);
await container.create();
const stages: { stage: string; seconds: number; limit: number; of: string }[] = [];

/** Processor seconds, threads included. */
async function cost(work: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

function report(stage: string, seconds: number, limit: number, of: string): void {
  stages.push({ stage, seconds, limit, of });
}

const agent = new Agent({ keepAlive: true });
/** Sends a request with node:http alone. */
function plain(
  address: string,
  method: string,
  headers: Record<string, string>,
  body?: Uint8Array,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const call = request(address, { agent, method, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        if (response.statusCode! < 300) resolve(Buffer.concat(chunks));
        else reject(new Error(`${method} ${new URL(address).pathname}: ${response.statusCode}`));
      });
    });
    call.on('error', reject);
    call.end(body);
  });
}

// Fetch and inflate.
const client = createDataverseClient({ url: url!, credential: createCredential({ accessToken: 'bench' }) });
const pages = new Map<string, Page[]>(tables.map(({ name }) => [name, []]));
const readAll = (keep: boolean) =>
  Promise.all(
    tables.map(async ({ name }) => {
      for await (const page of client.readPages({ entitySet: name, release: !keep })) {
        if (keep) pages.get(name)!.push(page);
      }
    }),
  );
const fetching = await cost(() => readAll(false));
await readAll(true);
const wire: Buffer[] = [];
let reading = 0;
const plainFetching = await cost(() =>
  Promise.all(
    tables.map(async ({ name }) => {
      const headers = {
        authorization: 'Bearer bench',
        prefer: 'odata.maxpagesize=5000',
        'accept-encoding': 'gzip',
      };
      let link: string | undefined = `${url}/api/data/v9.2/${name}`;
      while (link !== undefined) {
        const body = await plain(link, 'GET', headers);
        wire.push(body);
        reading += await cost(() => {
          link = /"@odata\.nextLink":"([^"]+)"/.exec(gunzipSync(body).subarray(-4096).toString())?.[1];
        });
      }
    }),
  ),
);
const inflating = await cost(() => {
  for (const body of wire) gunzipSync(body, { chunkSize: body.readUInt32LE(body.length - 4) + 1 });
});
report('fetch', fetching - inflating, plainFetching - reading, 'node:http, the same pages');
report('inflate', inflating, inflating, 'it is gunzip of zlib');

// Scan and write.
const rows = [...pages.values()].flat();
const scanning = await cost(() => {
  for (const { name, columns } of tables) {
    const scanner = new RecordScanner(
      columns.map(({ property }) => property!),
      { anyCase: true },
    );
    for (const { body, recordsStart, recordsEnd } of pages.get(name)!) {
      scanner.begin(body, recordsStart, recordsEnd);
      while (scanner.next());
    }
  }
});
const passing = await cost(() => {
  for (const { body } of rows) isUtf8(body);
});
report('scan', scanning, passing, 'one pass over the bytes, isUtf8');
const shards = new Map<string, Uint8Array>();
const writing = await cost(() => {
  for (const { name, columns, primaryKey } of tables) {
    const shard = Shard.create(sqlite);
    const writer = shard.recordWriter('rows', { columns, primaryKey, version: rowVersion, anyCase: true });
    for (const { body, recordsStart, recordsEnd } of pages.get(name)!)
      writer.write(body, recordsStart, recordsEnd);
    shards.set(name, shard.export());
    shard.close();
  }
});
const copying = await cost(() => [...shards.values()].map((bytes) => Buffer.from(bytes)));
report('write', writing - scanning, copying, 'a copy of the shards');
pages.clear();
rows.length = 0;

/** Uploads and downloads with node:http alone. @returns their processor seconds */
async function plainTransfer(
  files: readonly Uint8Array[],
  directions: readonly ('PUT' | 'GET')[],
): Promise<number> {
  const permissions = BlobSASPermissions.parse('rcw');
  const expiresOn = new Date(Date.now() + 3_600_000);
  const address = (blob: BlockBlobClient) => blob.generateSasUrl({ permissions, expiresOn });
  const addresses = await Promise.all(
    files.map((_, n) => address(container.getBlockBlobClient(`plain/${n}`))),
  );
  return cost(async () => {
    for (const [n, bytes] of files.entries()) {
      for (const direction of directions) {
        const body = direction === 'PUT' ? bytes : undefined;
        await plain(
          addresses[n]!,
          direction,
          { 'x-ms-blob-type': 'BlockBlob', 'content-length': `${body?.length ?? 0}` },
          body,
        );
      }
    }
  });
}

// Shards up and down.
const store = new WorkStore(container);
const moving = await cost(async () => {
  for (const [name, bytes] of shards) {
    await store.putBytes(name, bytes);
    await store.getBytes(name);
  }
});
report(
  'shard up and down',
  moving,
  await plainTransfer([...shards.values()], ['PUT', 'GET']),
  'node:http, the same bytes',
);

// Merge.
const native = new DatabaseSync(':memory:');
native.exec("PRAGMA page_size = 8192; PRAGMA journal_mode = off; ATTACH ':memory:' AS shard");
const inserting = await cost(() => {
  for (const table of tables) {
    native.exec(createTableSql(table));
    native.deserialize(shards.get(table.name)!, { dbName: 'shard' });
    const columns = table.columns.map(({ name }) => quote(name)).join();
    native.exec(`INSERT INTO main.${quote(table.name)} (${columns}) SELECT ${columns} FROM shard.rows`);
  }
});
// As a merge opens it: in an array that grows as a whole, most of the time would be that of the copies.
const empty = emptyDatabase(sqlite.sqlJs);
const room = allocateChunks(empty.length);
room.set(empty);
const chunks = new ResidentChunks(room);
const paged = new PagedFile(chunks, empty.length);
const mirror = SqliteDatabase.open(sqlite, undefined, { file: paged });
createBookkeeping(mirror);
const merging = await cost(async () => {
  for (const table of tables) {
    mirror.exec(createTableSql(table));
    const open = async () => Shard.open(sqlite, shards.get(table.name)!).db;
    await mergeTable(mirror, table, [{ open, final: true }], {
      ...{ runId: 'bench', at: '2026-01-01T00:00:00Z', history: false, startHistory: false },
      ...{ massDeleteLimit: 1, complete: true, keys: undefined, rowsBefore: 0, isCounted: true },
    });
  }
});
report('merge', merging, inserting, 'INSERT … SELECT in node:sqlite');

// Check, hash and upload.
const file = Buffer.concat(
  Array.from({ length: Math.ceil(paged.length / chunkSize) }, (_, index) => chunks.get(index)),
).subarray(0, paged.length);
const checking = await cost(() => mirror.get('PRAGMA quick_check'));
const nativeChecking = await cost(() => native.prepare('PRAGMA quick_check').get());
report('check', checking, nativeChecking, 'quick_check in node:sqlite');
const hashing = await cost(() => {
  for (let at = 0; at < file.length; at += 262_144) {
    const block = file.subarray(at, at + 262_144);
    hash('sha256', block, 'hex');
    createHash('md5').update(block).digest();
  }
});
report('hash', hashing, await cost(() => hash('sha256', file, 'hex')), 'SHA-256 of the file');
const uploading = await cost(() =>
  new DatabaseBlob(container, 'dataverse.db').commit(wholeContent(file), { etag: 'absent' }),
);
report('upload', uploading - hashing, await plainTransfer([file], ['PUT']), 'node:http, one Put Blob');

console.log(JSON.stringify({ seconds: 0, stages }));
agent.destroy();
await azurite.stop();

import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { BlobSASPermissions, BlobServiceClient } from '@azure/storage-blob';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ConfigurationError, ConflictError, RetriableError } from '../../src/errors.ts';
import type { Mirror } from '../../src/mirror/mirror.ts';
import { isBlobAddress, openMirror } from '../../src/mirror/open-mirror.ts';
import { type Azurite, startAzurite } from '../azurite.ts';

let folder: string;
let file: string;
const open: Mirror[] = [];
const servers: Server[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mirror-'));
  file = join(folder, 'mirror.db');
  const db = new DatabaseSync(file);
  db.exec(`PRAGMA page_size=8192; CREATE TABLE accounts (accountid TEXT PRIMARY KEY, name TEXT, revenue REAL, big INTEGER);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
    INSERT INTO accounts SELECT printf('%08x', i), 'Account ' || i || hex(zeroblob(200)), i / 4.0, 9007199254740993 FROM n`);
  db.close();
});
afterEach(async () => {
  for (const mirror of open.splice(0)) await mirror.close();
  for (const server of servers.splice(0)) server.closeAllConnections();
});
afterAll(() => rmSync(folder, { recursive: true }));

async function opened(...args: Parameters<typeof openMirror>): Promise<Mirror> {
  const mirror = await openMirror(...args);
  open.push(mirror);
  return mirror;
}

/** Serves bytes by ranges. */
class RangeServer {
  bytes: Buffer = readFileSync(file);
  etag = '"1"';
  requests: IncomingMessage[] = [];
  sent = 0;
  /** Answers instead, if it returns true. */
  instead: (request: IncomingMessage, response: ServerResponse) => boolean = () => false;
  url = '';

  async start(): Promise<this> {
    const server = createServer((request, response) => this.#answer(request, response)).listen(
      0,
      '127.0.0.1',
    );
    servers.push(server);
    await once(server, 'listening');
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/database?code=a-secret-function-key`;
    return this;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.requests.push(request);
    if (this.instead(request, response)) return;
    const expected = request.headers['if-match'];
    if (expected !== undefined && expected !== this.etag) return void response.writeHead(412).end();
    const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range!)!;
    const part = this.bytes.subarray(Number(from), Number(to) + 1);
    this.sent += part.length;
    const last = Number(from) + part.length - 1;
    response.writeHead(206, {
      etag: this.etag,
      'content-range': `bytes ${from}-${last}/${this.bytes.length}`,
    });
    response.end(part);
  }
}

describe('a mirror', () => {
  it('answers queries with parameters, and integers exactly', async () => {
    const mirror = await opened(file);
    const rows = await mirror.query<{ name: string; big: bigint }>(
      'SELECT accountid, revenue, big, NULL AS none, ? AS yes FROM accounts WHERE accountid = ?',
      [true, '00000004'],
    );
    expect(rows).toEqual([{ accountid: '00000004', revenue: 1, big: 9007199254740993n, none: null, yes: 1 }]);
    expect(await mirror.execute('SELECT 1 AS a, 2 AS a')).toEqual({
      columns: ['a', 'a'],
      rows: [[1, 2]],
      isComplete: true,
    });
    expect(await mirror.execute('SELECT accountid FROM accounts', [], { maxRows: 2 })).toMatchObject({
      rows: [['00000001'], ['00000002']],
      isComplete: false,
    });
    // One after the other, in order.
    const counts = await Promise.all([1, 2, 3].map((n) => mirror.query('SELECT ? AS n', [n])));
    expect(counts).toEqual([[{ n: 1 }], [{ n: 2 }], [{ n: 3 }]]);
  });

  it('is only read', async () => {
    const mirror = await opened(file);
    const before = readFileSync(file);
    for (const sql of [
      'DELETE FROM accounts',
      'CREATE TABLE mine (x)',
      'WITH x AS (SELECT 1) UPDATE accounts SET name = NULL',
      'PRAGMA user_version = 7',
    ]) {
      await expect(mirror.query(sql), sql).rejects.toThrow('readonly');
    }
    await mirror.query('PRAGMA query_only = off');
    await expect(mirror.query('DELETE FROM accounts')).rejects.toThrow('readonly');
    await expect(mirror.query('SELECT 1; DELETE FROM accounts')).rejects.toThrow('more than one statement');
    await expect(mirror.query(' -- nothing')).rejects.toThrow('no statement');
    expect(await mirror.query('SELECT count(*) AS n FROM accounts; -- done')).toEqual([{ n: 20_000 }]);
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  it('stops a query that takes too long, and answers the next one', async () => {
    const mirror = await opened(file);
    const endless = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n';
    await expect(mirror.query(endless, [], { timeoutMs: 50 })).rejects.toThrow(RetriableError);
    expect(await mirror.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await expect(mirror.query('SELECT missing')).rejects.toThrow('no such column: missing');
    expect(await mirror.query('SELECT 2 AS two')).toEqual([{ two: 2 }]);
    await mirror.close();
    await expect(mirror.query('SELECT 3')).rejects.toThrow('closed');
  });

  it('bounds the memory of a query, and the bytes of its rows', async () => {
    const mirror = await opened(file, { maxQueryBytes: 32 * 1024 * 1024 });
    await expect(mirror.query("SELECT length(printf('%.*c', 100000000, 'x'))")).rejects.toThrow(
      'out of memory',
    );
    await mirror.query('PRAGMA hard_heap_limit = 0');
    await expect(mirror.query('SELECT length(hex(zeroblob(50000000)))')).rejects.toThrow('out of memory');
    const part = await mirror.execute('SELECT name FROM accounts', [], { maxBytes: 10_000 });
    expect(part.isComplete).toBe(false);
    expect(part.rows.length).toBeLessThan(50);
    expect(await mirror.query('SELECT count(*) AS n FROM accounts')).toEqual([{ n: 20_000 }]);
  });

  it('says what is wrong with a file', async () => {
    await expect(openMirror(join(folder, 'nowhere.db'))).rejects.toThrow('There is no file');
    await expect((await opened(import.meta.filename)).query('SELECT 1')).rejects.toThrow('not a database');
  });
});

describe('a mirror behind an address', () => {
  it('is read in the parts that a query needs', async () => {
    const server = await new RangeServer().start();
    const mirror = await opened(server.url, { functionKey: 'another-secret-key' });
    expect(await mirror.query("SELECT revenue FROM accounts WHERE accountid = '00004000'")).toEqual([
      { revenue: 4096 },
    ]);
    expect(server.sent).toBeLessThan(server.bytes.length / 5);
    expect(server.requests.every(({ headers }) => headers['x-functions-key'] === 'another-secret-key')).toBe(
      true,
    );
    expect(server.requests.slice(1).every(({ headers }) => headers['if-match'] === '"1"')).toBe(true);
    // A scan asks for longer ranges as it goes on, and for no byte twice.
    expect(await mirror.query('SELECT sum(revenue) AS sum, count(*) AS n FROM accounts')).toEqual([
      { sum: 50_002_500, n: 20_000 },
    ]);
    expect(server.requests.length).toBeLessThan(40);
    expect(server.sent).toBeLessThan(server.bytes.length + 200_000);
  });

  it('never mixes two states', async () => {
    const server = await new RangeServer().start();
    const mirror = await opened(server.url);
    await mirror.query("SELECT 1 FROM accounts WHERE accountid = '00000001'");
    server.etag = '"2"';
    await expect(mirror.query('SELECT count(name) FROM accounts')).rejects.toThrow(ConflictError);
    expect(mirror.etag).toBe('"1"');
    expect(await mirror.refresh()).toBe(true);
    expect(await mirror.query('SELECT count(name) AS n FROM accounts')).toEqual([{ n: 20_000 }]);
    expect(await mirror.refresh()).toBe(false);
  });

  it('is asked for again where an answer is missing or cut short', async () => {
    const server = await new RangeServer().start();
    const faults = ['busy', 'cut', 'reset'];
    server.instead = (request, response) => {
      const fault = request.headers['if-match'] === undefined ? undefined : faults.shift();
      if (fault === 'busy') response.writeHead(503, { 'retry-after': '0' }).end();
      else if (fault === 'reset') request.socket.destroy();
      else if (fault === 'cut') {
        response.writeHead(206, {
          etag: server.etag,
          'content-length': '65536',
          'content-range': 'bytes 0-65535/9',
        });
        response.write('SQLite', () => request.socket.destroy());
      }
      return fault !== undefined;
    };
    const mirror = await opened(server.url);
    expect(await mirror.query('SELECT count(*) AS n FROM accounts')).toEqual([{ n: 20_000 }]);
    expect(faults).toEqual([]);
  });

  it.each([
    [401, {}, 'access is denied'],
    [404, {}, 'answered 404'],
    [200, { etag: '"1"' }, 'does not answer ranges'],
    [206, { etag: 'W/"1"', 'content-range': 'bytes 0-9/10' }, 'does not answer ranges'],
    [302, { location: 'http://127.0.0.1:1/' }, 'is elsewhere'],
  ])('that answers %i %j is refused, without its key in the message', async (status, headers, message) => {
    const server = await new RangeServer().start();
    server.instead = (_, response) => {
      response.writeHead(status, headers).end('0123456789');
      return true;
    };
    const error: Error = await openMirror(server.url).then(
      () => expect.fail('opened'),
      (thrown: Error) => thrown,
    );
    expect(error.message).toContain(message);
    expect(JSON.stringify([error.message, error])).not.toContain('a-secret');
  });

  it('that answers with other bytes is refused', async () => {
    const server = await new RangeServer().start();
    const mirror = await opened(server.url);
    server.instead = (_, response) => {
      response.writeHead(206, { etag: server.etag, 'content-range': 'bytes 8192-8193/10' }).end('ab');
      return true;
    };
    await expect(mirror.query('SELECT 1 FROM accounts')).rejects.toThrow('another range');
  });

  it('that sends more than was asked for is not read further', async () => {
    const server = await new RangeServer().start();
    const mirror = await opened(server.url);
    let sent = 0;
    server.instead = (request, response) => {
      const [, from] = /bytes=(\d+)-/.exec(request.headers.range!)!;
      response.writeHead(206, { etag: server.etag, 'content-range': `bytes ${from}-99999999/9` });
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536))) sent += 65_536;
      };
      response.on('drain', more);
      more();
      return true;
    };
    await expect(mirror.query('SELECT 1 FROM accounts')).rejects.toThrow('another range');
    expect(sent).toBeLessThan(50_000_000);
  });

  it('gets no token that is for Blob storage, and Blob storage gets no function key', async () => {
    const server = await new RangeServer().start();
    const credential = { getToken: async () => expect.fail('a token was asked for') };
    await expect(openMirror(server.url, { credential })).rejects.toThrow('is not in Blob storage');
    expect(server.requests).toEqual([]);
    expect(isBlobAddress('https://a.blob.core.windows.net/c/b.db')).toBe(true);
    expect(isBlobAddress('https://a.z01.blob.storage.azure.net/c/b.db')).toBe(true);
    for (const other of [
      'https://blob.core.windows.net.evil.example/b',
      'https://a.blob.core.windows.net.evil.example/b',
      'https://a.blob.core.evil.example/b',
      'my.blob.core.windows.net',
      'https://x/?.blob.core.windows.net',
    ])
      expect(isBlobAddress(other), other).toBe(false);
  });

  it('must be https', async () => {
    await expect(openMirror('http://contoso.example/api/database?code=x')).rejects.toThrow(
      ConfigurationError,
    );
  });
});

describe('a mirror in Blob storage', () => {
  let azurite: Azurite;
  beforeAll(async () => {
    azurite = await startAzurite();
  });
  afterAll(() => azurite.stop());

  it('is read with a SAS token', async () => {
    const service = BlobServiceClient.fromConnectionString(azurite.connectionString);
    const container = service.getContainerClient('published');
    await container.create();
    const blob = container.getBlockBlobClient('dataverse.db');
    await blob.uploadFile(file);
    const sas = await blob.generateSasUrl({
      permissions: BlobSASPermissions.parse('r'),
      expiresOn: new Date(Date.now() + 3_600_000),
    });
    const mirror = await opened(sas);
    expect(await mirror.query('SELECT count(*) AS n FROM accounts')).toEqual([{ n: 20_000 }]);
    await blob.uploadFile(file);
    // In memory as a whole by now.
    expect(await mirror.query('SELECT count(*) AS n FROM accounts')).toEqual([{ n: 20_000 }]);
    expect(await mirror.refresh()).toBe(true);
  });
});

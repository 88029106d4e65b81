import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseMcpOptions } from '../../src/cli/mcp/mcp-options.ts';
import { createMcpServer } from '../../src/cli/mcp/mcp-server.ts';
import { LocalSync, localPaths } from '../../src/cli/sync/local-sync.ts';
import { parseEntities } from '../../src/config/entities.ts';
import { readSettings } from '../../src/config/settings.ts';
import { startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import type { Mirror } from '../../src/mirror/mirror.ts';
import { openMirror } from '../../src/mirror/open-mirror.ts';

let folder: string;
let file: string;
let mirror: Mirror;
let client: Client;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mcp-'));
  file = join(folder, 'mirror.db');
  const dataverse = await startSampleDataverse({ rows: 300 });
  const account = dataverse.store.table('account');
  account.description = 'A company';
  const revenue = account.columns.find(({ name }) => name === 'revenue')!;
  Object.assign(revenue, { displayName: 'Annual revenue', description: 'In the base currency' });
  const settings = readSettings({
    DATAVERSE_URL: dataverse.url,
    DATAVERSE_ACCESS_TOKEN: 'a-secret-access-token',
    AzureWebJobsStorage: 'UseDevelopmentStorage=true',
  });
  const quiet = { log: () => undefined, event: () => undefined, metric: () => undefined };
  const tables = parseEntities(['account', 'contact']);
  const sync = await LocalSync.open(settings, () => tables, localPaths(file), quiet);
  await sync.run({}, () => undefined);
  await dataverse.stop();
  mirror = await openMirror(file);
  client = await connect(50, 5_000);
});
afterAll(async () => {
  await client.close();
  await mirror.close();
  rmSync(folder, { recursive: true });
});

async function connect(maxRows: number, timeoutMs: number): Promise<Client> {
  const [ours, theirs] = InMemoryTransport.createLinkedPair();
  const connected = new Client({ name: 'test', version: '1' });
  await Promise.all([
    createMcpServer(mirror, { maxRows, timeoutMs }).server.connect(ours),
    connected.connect(theirs),
  ]);
  return connected;
}

interface Answer {
  isError: boolean;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: answers of several shapes
  value: any;
}

async function call(name: string, args: Record<string, unknown> = {}, by = client): Promise<Answer> {
  const { content, isError } = await by.callTool({ name, arguments: args });
  const { text } = (content as { text: string }[])[0]!;
  return { isError: isError === true, text, value: isError ? undefined : JSON.parse(text) };
}

describe('an assistant', () => {
  it('is told how to begin, and that nothing is changed', async () => {
    expect(client.getInstructions()).toContain('list_tables first');
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(['list_tables', 'describe_table', 'query']);
    expect(tools.every(({ annotations }) => annotations?.readOnlyHint === true)).toBe(true);
  });

  it('finds tables, columns, choices and references', async () => {
    const { value: tables } = await call('list_tables');
    expect(tables).toMatchObject([
      {
        name: 'accounts',
        logicalName: 'account',
        primaryKey: 'accountid',
        labelledView: 'accounts_labelled',
        description: 'A company',
      },
      { name: 'contacts', logicalName: 'contact', primaryName: 'fullname' },
    ]);
    for (const name of ['account', 'accounts']) {
      const { columns } = (await call('describe_table', { table: name })).value;
      const column = (wanted: string) => columns.find((one: { name: string }) => one.name === wanted);
      expect(column('statecode').choices).toEqual([
        { value: 0, label: 'Active' },
        { value: 1, label: 'Inactive' },
      ]);
      expect(column('_primarycontactid_value').references).toEqual(['contacts']);
      expect(column('revenue')).toMatchObject({ type: 'REAL', edmType: 'Edm.Decimal' });
      expect(column('revenue')).toMatchObject({
        displayName: 'Annual revenue',
        description: 'In the base currency',
      });
    }
    expect((await call('describe_table', { table: 'acounts' })).value).toEqual({
      error: 'There is no table acounts.',
      tables: ['accounts', 'contacts'],
    });
  });

  it('runs queries within limits', async () => {
    const counted = await call('query', {
      sql: 'SELECT statecode_label, count(*) AS n FROM accounts_labelled GROUP BY 1',
    });
    expect(counted.value.columns).toEqual(['statecode_label', 'n']);
    const all = await call('query', { sql: 'SELECT accountid FROM accounts' });
    expect(all.value).toMatchObject({ note: 'Only the first 50 rows are shown.' });
    expect(all.value.rows).toHaveLength(50);
    const long = await call('query', {
      sql: 'SELECT hex(zeroblob(100000)) AS long, zeroblob(7) AS bytes, 9007199254740993 AS big, 9e999 AS much',
    });
    expect(long.value.rows[0]).toEqual([
      expect.stringMatching(/^0{2000}…$/),
      '7 bytes',
      '9007199254740993',
      'Infinity',
    ]);
    const wide = await call('query', {
      sql: 'WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT hex(zeroblob(1500)) FROM n',
    });
    expect(wide.text.length).toBeLessThan(200_000);
    expect(wide.value.note).toMatch(/^Only the first \d\d rows are shown/);
    const quick = await connect(10, 50);
    const endless = 'WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n';
    expect(await call('query', { sql: endless }, quick)).toMatchObject({
      isError: true,
      text: expect.stringContaining('took longer than 50 ms'),
    });
    await quick.close();
    expect((await call('query', { sql: 'SELECT 1' })).value.rows).toEqual([[1]]);
  });

  it('gets an answer at once to whatever begins with comments', async () => {
    expect(await call('query', { sql: `${'/**/'.repeat(4000)}x` })).toMatchObject({ isError: true });
    expect(
      (await call('query', { sql: `-- one\n/* two */ ${'/**/'.repeat(100)} SELECT 1` })).value.rows,
    ).toEqual([[1]]);
    expect(await call('query', { sql: '/* SELECT' })).toMatchObject({ isError: true });
  });

  it('gets an answer of bounded length, however wide a row is', async () => {
    const columns = Array.from({ length: 700 }, () => "printf('%.*c', 2000, 'x')").join();
    const { text, value } = await call('query', { sql: `SELECT ${columns}` });
    expect(value.rows).toHaveLength(1);
    expect(text.length).toBeLessThan(150_000);
  });

  it.each([
    'DELETE FROM accounts',
    'WITH x AS (SELECT 1) DELETE FROM accounts',
    'SELECT 1; DROP TABLE accounts',
    "ATTACH 'other.db' AS other",
    'PRAGMA query_only = off',
    "VACUUM INTO 'copy.db'",
    '/* SELECT */ UPDATE accounts SET name = NULL',
    'SELECT nothing FROM nowhere',
    "SELECT load_extension('x')",
    "SELECT readfile('/etc/hostname')",
  ])('cannot run %s', async (sql) => {
    const before = readFileSync(file);
    expect(await call('query', { sql })).toMatchObject({ isError: true });
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  it('gets no secret', async () => {
    const texts = await Promise.all(
      ['SELECT * FROM _sync_state', 'SELECT * FROM _sync_meta', 'SELECT * FROM _sync_log'].map((sql) =>
        call('query', { sql }).then(({ text }) => text),
      ),
    );
    expect(texts.join()).not.toContain('a-secret');
  });

  it('sees what a sync commits', async () => {
    const fresh = await openMirror(file);
    const [ours, theirs] = InMemoryTransport.createLinkedPair();
    const other = new Client({ name: 'test', version: '1' });
    await Promise.all([
      createMcpServer(fresh, { maxRows: 10, timeoutMs: 5_000 }).server.connect(ours),
      other.connect(theirs),
    ]);
    const { DatabaseSync } = await import('node:sqlite');
    const db = new DatabaseSync(file);
    db.exec('CREATE TABLE later (x); INSERT INTO later VALUES (7)');
    db.close();
    expect((await call('query', { sql: 'SELECT x FROM later' }, other)).value.rows).toEqual([[7]]);
    await other.close();
    await fresh.close();
  });
});

it('the command answers what was asked before its input ended', async () => {
  const main = resolve(import.meta.dirname, '../../dist/cli/main.js');
  const child = spawn(process.execPath, [main, 'mcp', file], { stdio: ['pipe', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  const hello = {
    protocolVersion: '2025-06-18',
    capabilities: {},
    clientInfo: { name: 'test', version: '1' },
  };
  const asked = { name: 'query', arguments: { sql: 'SELECT count(*) AS n FROM accounts' } };
  child.stdin.end(
    [
      { id: 1, method: 'initialize', params: hello },
      { id: 2, method: 'tools/call', params: asked },
    ]
      .map((message) => `${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
      .join(''),
  );
  const [code] = await once(child, 'close');
  expect(code).toBe(0);
  expect(output).toContain('"id":2');
});

it('the command speaks the protocol on standard input and output', async () => {
  const main = resolve(import.meta.dirname, '../../dist/cli/main.js');
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [main, 'mcp', file],
    stderr: 'pipe',
  });
  const connected = new Client({ name: 'test', version: '1' });
  await connected.connect(transport);
  expect((await call('list_tables', {}, connected)).value).toHaveLength(2);
  await connected.close();
});

it.each([
  [[], 'Name one mirror.'],
  [['a.db', 'b.db'], 'Name one mirror.'],
  [['a.db', '--max-rows', '0'], '--max-rows is not a number'],
  [['a.db', '--timeout', 'soon'], '--timeout is not a number'],
])('the options %j are rejected', (args, message) => {
  expect(() => parseMcpOptions(args)).toThrow(message);
});

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { openDataFolder } from '../../src/local/data-folder/data-folder.ts';
import { startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import { noTimer } from './start-settings.ts';

const root = resolve(import.meta.dirname, '../..');
// Each test starts several processes; on a busy machine each takes ten seconds or more.
vi.setConfig({ testTimeout: 240_000 });

let folder: string;
let data: string;
const children: ChildProcess[] = [];
const servers: Server[] = [];
/** The addresses that a proxy was asked to connect to. */
const connects: string[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'start-'));
  data = join(folder, 'data');
});

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const server of servers.splice(0)) server.close();
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

interface Started {
  child: ChildProcess;
  output: { stdout: string; stderr: string };
  exit: Promise<number | null>;
  /** Resolves when standard output contains the text; rejects if the process ends before. */
  prints(text: string): Promise<void>;
}

/** The built command, as `npm start -- …` runs it. */
function start(...args: string[]): Started {
  const child = spawn(process.execPath, [join(root, 'dist/local/start.js'), ...args], {
    cwd: folder,
    env: {
      PATH: process.env['PATH'],
      ...noTimer,
      ...proxies,
      ...(token !== undefined && { DATAVERSE_ACCESS_TOKEN: token }),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => (output.stdout += chunk));
  child.stderr.on('data', (chunk) => (output.stderr += chunk));
  const exit = once(child, 'close').then(([code]) => code as number | null);
  const prints = (text: string) =>
    new Promise<void>((done, fail) => {
      const check = () => output.stdout.includes(text) && done();
      child.stdout.on('data', check);
      check();
      exit.then(() =>
        fail(new Error(`The process ended without printing "${text}":\n${output.stdout}${output.stderr}`)),
      );
    });
  return { child, output, exit, prints };
}

let token: string | undefined;
let proxies: Record<string, string> = {};

async function run(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const { exit, output } = start(...args);
  return { code: await exit, ...output };
}

async function listen(answer: RequestListener): Promise<{ port: number; url: string }> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  server.on('connect', (req, socket) => {
    connects.push(req.url!);
    socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
  });
  servers.push(server);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { port, url: `http://127.0.0.1:${port}` };
}

interface Report {
  runId: string;
  phase: string;
  entities: {
    name: string;
    rowsRead: number;
    added: number;
    updated: number;
    unchanged: number;
    error?: string;
  }[];
  totals: { rowsRead: number; added: number; updated: number; deleted: number; unchanged: number };
  seconds: number;
  requests: number;
  bytes: number;
  database: { file: string; bytes: number; stagedBlocks: number; stagedBytes: number };
}

/** Counts the rows of all mirrored tables with node:sqlite, which is independent of the sql.js that wrote them. */
function countRows(file: string): { tables: number; rows: number; integrity: unknown } {
  const database = new DatabaseSync(file, { readOnly: true });
  const tables = database
    .prepare(
      String.raw`SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\_%' ESCAPE '\'`,
    )
    .all() as { name: string }[];
  const rows = tables
    .map(({ name }) => database.prepare(`SELECT count(*) AS n FROM "${name}"`).get()!['n'] as number)
    .reduce((sum, count) => sum + count, 0);
  const integrity = database.prepare('PRAGMA integrity_check').get();
  database.close();
  return { tables: tables.length, rows, integrity };
}

test('--check prints what it finds without a sync, and exits with 1 if a check failed', async () => {
  const passed = await run('--check', '--rows', '100', '--data', data);
  expect(passed.stdout).toMatch(/^ok {6}dataverse: .*\n[\s\S]*^All \d+ checks passed\.$/m);
  expect(passed.code).toBe(0);

  const dataverse = await startSampleDataverse({ rows: 100 });
  dataverse.store.deniedPrivileges.add('prvReadaccount');
  token = 'any';
  const failed = await run(
    '--check',
    '--json',
    '--dataverse',
    dataverse.url,
    '--data',
    join(folder, 'other'),
  );
  token = undefined;
  await dataverse.stop();
  expect(failed.stderr).toMatch(/^FAILED {2}table account: .* lacks prvReadaccount/im);
  expect(JSON.parse(failed.stdout)).toMatchObject({ ok: false });
  expect(failed.code).toBe(1);
});

describe('a data folder with a first sync', () => {
  let kept: string;
  let out: string;
  let others: string;
  let args: string[];
  let first: Awaited<ReturnType<typeof run>>;
  /** Requests that reached the proxy of the environment. */
  const proxied: string[] = [];

  beforeAll(async () => {
    kept = await mkdtemp(join(tmpdir(), 'start-kept-'));
    folder = kept;
    out = join(kept, 'out/copy.db');
    others = join(kept, 'out/sales.db');
    const entities = join(kept, 'entities.json');
    await writeFile(entities, '["account", "contact", { "name": "email", "database": "sales" }]', {
      mode: 0o600,
    });
    const options = ['--rows', '500', '--entities', entities, '--data', join(kept, 'data'), '--out', out];
    args = ['--once', '--json', ...options];
    const { url } = await listen((req, res) => {
      proxied.push(req.url!);
      res.writeHead(401).end();
    });
    proxies = { HTTP_PROXY: url, https_proxy: url };
    first = await run(...args);
    proxies = {};
  });
  afterAll(() => rm(kept, { recursive: true, force: true, maxRetries: 5 }));

  test('--once --json prints one line of JSON', async () => {
    expect(first.stderr).toContain('Sync complete');
    expect(first.code).toBe(0);
    expect(first.stdout.split('\n')).toHaveLength(2);
    const report = JSON.parse(first.stdout) as Report;
    expect(report).toMatchObject({
      phase: 'complete',
      database: { file: out, bytes: expect.any(Number) },
    });
    const databases = [out, others].map(countRows);
    expect(databases.map(({ integrity }) => integrity)).toEqual(Array(2).fill({ integrity_check: 'ok' }));
    expect(databases.map(({ tables }) => tables)).toEqual([2, 1]);
    const rows = databases.reduce((sum, database) => sum + database.rows, 0);
    expect(rows).toBe(report.totals.added);
    expect(rows).toBeGreaterThanOrEqual(200);
    expect(report.requests).toBeGreaterThanOrEqual(report.entities.length);
    expect(report.database.stagedBlocks).toBeGreaterThan(0);
    expect(await readFile(out)).toEqual(await readFile(join(kept, 'data/dataverse.db')));
    // No proxy comes between the parts on this machine.
    expect(proxied).toEqual([]);
    // Nobody else on the machine can read what was written.
    for (const entry of await readdir(kept, { withFileTypes: true, recursive: true })) {
      const path = join(entry.parentPath, entry.name);
      expect((await stat(path)).mode & 0o077, path).toBe(0);
    }
  });

  test('writes a file for each database that entities.json names', async () => {
    for (const file of [out, others]) expect(first.stderr).toContain(`Database   ${file} (`);
    expect(await readFile(others)).toEqual(await readFile(join(kept, 'data/sales.db')));
    expect((await stat(join(kept, 'data/sales.db'))).mode & 0o077).toBe(0);
  });

  test('a second sync finds no changes and writes no block', async () => {
    const report = JSON.parse(first.stdout) as Report;
    const second = await run(...args);
    expect(second.code).toBe(0);
    const again = JSON.parse(second.stdout) as Report;
    expect(again.runId).not.toBe(report.runId);
    const { added: rows } = report.totals;
    expect(again.totals).toMatchObject({ added: 0, updated: 0, deleted: 0, unchanged: rows });
    expect(again.database).toMatchObject({
      stagedBlocks: 0,
      stagedBytes: 0,
      bytes: report.database.bytes,
    });
  });

  test('it belongs to one source', async () => {
    const { code, stderr } = await run('--once', '--rows', '60', '--data', join(kept, 'data'));
    expect(code).toBe(1);
    expect(stderr).toContain('belongs to the sample Dataverse with 500 rows');

    // The stored links contain the address of the sample Dataverse.
    const { samplePort } = JSON.parse(await readFile(join(kept, 'data/local.json'), 'utf8')) as {
      samplePort: number;
    };
    const other = createServer().listen(samplePort, '127.0.0.1');
    servers.push(other);
    await once(other, 'listening');
    const taken = await run(...args);
    expect([taken.code, taken.stderr]).toEqual([
      1,
      expect.stringContaining(`Port ${samplePort}, which the sample Dataverse used before`),
    ]);
  });
});

test('syncs until Ctrl-C, prints working addresses, and exits cleanly', async () => {
  const entities = join(folder, 'entities.json');
  await writeFile(entities, '["account", "contact", "email"]');
  const options = ['--rows', '200', '--entities', entities, '--data', data, '--port', '0'];
  const { child, output, exit, prints } = start(...options);
  await prints('Press Ctrl-C to stop.');
  const address = /^Status +(\S+)$/m.exec(output.stdout)?.[1];
  const { runs } = (await (await fetch(address!)).json()) as { runs: { phase: string }[] };
  expect(runs.map(({ phase }) => phase)).toEqual(['complete']);
  await expect(openDataFolder(data)).rejects.toThrow('in use by another process');
  // A page of another site that knows the address with its key.
  const foreign = await fetch(address!, { method: 'POST', headers: { origin: 'https://evil.example' } });
  expect(foreign.status).toBe(403);

  // A further sync is reported.
  const before = output.stdout.length;
  await fetch(address!, { method: 'POST' });
  while (!output.stdout.slice(before).includes('Sync complete')) await once(child.stdout!, 'data');

  // Commands of another terminal, without any settings.
  const command = async (name: string, ...args: string[]) => {
    const path = join(root, 'dist/cli/main.js');
    const env = { PATH: process.env['PATH'] };
    return (
      await promisify(execFile)(process.execPath, [path, name, '--data', data, ...args], { env, cwd: folder })
    ).stdout;
  };
  expect(await command('provision', '--dry-run')).toContain('The table apex_campaignmetrics is complete.');
  expect(await command('replay')).toBe('0 records queued again.\n');

  // Ctrl-C while a sync runs.
  await fetch(address!, { method: 'POST' });
  child.kill('SIGINT');
  expect(await exit).toBe(0);
  expect(output.stderr).toBe('');
  expect(output.stdout).not.toMatch(/fetch failed|error in|abort/i);
  (await openDataFolder(data)).release();
  await expect(command('replay')).rejects.toThrow(`No npm start is running with the data folder ${data}.`);
});

test('Ctrl-C during the first sync prints no error', async () => {
  const { child, output, exit, prints } = start('--rows', '1500', '--data', data, '--port', '0');
  await prints('Reading ');
  child.kill('SIGINT');
  expect(await exit).toBe(130);
  expect(output.stderr).toBe('');
  expect(output.stdout).not.toMatch(/fetch failed|error in|abort/i);
  expect(output.stdout).toContain('Stopping …');
});

// Enough rows that the kill comes long before the end on any machine.
const manyRows = '1200';

test('after a SIGKILL the next start completes the sync and runs another one', async () => {
  const { child, prints, exit } = start('--once', '--rows', manyRows, '--data', data);
  // Some tables have been read, others have not.
  await prints(' rows in ');
  child.kill('SIGKILL');
  await exit;
  const { code, stdout, stderr } = await run('--once', '--json', '--rows', manyRows, '--data', data);
  expect(code, stderr).toBe(0);
  expect(stderr).toContain('Another sync reads the changes made since');
  const report = JSON.parse(stdout) as Report;
  const { rows, integrity } = countRows(report.database.file);
  expect(integrity).toEqual({ integrity_check: 'ok' });
  expect(report.totals).toMatchObject({ added: 0, unchanged: rows });

  const sample = await startSampleDataverse({ rows: Number(manyRows), hostileValues: false });
  await sample.stop();
  const counts = report.entities.map(({ name }) => sample.store.count(name));
  // The tables of the entities.json of the project.
  expect(counts.length).toBeGreaterThan(15);
  expect(rows).toBe(counts.reduce((sum, count) => sum + count, 0));
});

test('prints one error message with a hint and exits with status 1', async () => {
  const { port } = await listen((_, res) => res.end());
  const taken = await run('--rows', '20', '--data', data, '--port', String(port));
  expect([taken.code, taken.stderr]).toEqual([
    1,
    `Error: Port ${port} is taken\n  → Choose another port with --port.\n`,
  ]);

  const file = join(folder, 'file');
  await writeFile(file, '');
  const unwritable = await run('--once', '--data', join(file, 'data'));
  expect(unwritable.code).toBe(1);
  expect(unwritable.stderr).toMatch(/^Error: The data folder .* is not writable.*\n {2}→ .*--data.*\n$/);

  const closed = await run('--once', '--data', data, '--dataverse', 'http://127.0.0.1:1');
  expect(closed.code).toBe(1);
  expect(closed.stderr).toContain('Error: Cannot reach Dataverse at http://127.0.0.1:1');

  const entities = join(folder, 'entities.json');
  await writeFile(entities, '["account", "acount"]');
  const unknown = await run('--once', '--rows', '20', '--data', data, '--entities', entities);
  expect(unknown.code).toBe(1);
  expect(unknown.stdout).toContain('The run failed: Dataverse has no table acount; did you mean account?');
  expect(unknown.stdout).toContain(`Log        ${join(data, 'functions.log')}`);
});

test('reports a rejected access token', async () => {
  const { url } = await listen((req, res) => {
    res.writeHead(req.headers.authorization === 'Bearer fresh' ? 200 : 401).end();
  });
  token = 'stale';
  const { code, stderr } = await run('--once', '--data', data, '--dataverse', url);
  token = undefined;
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^Error: Dataverse at \S+ rejected the access token\n {2}→ .*DATAVERSE_ACCESS_TOKEN/,
  );
});

test('addresses elsewhere are reached through the proxy of the environment', async () => {
  const { url } = await listen((_, res) => res.writeHead(401).end());
  proxies = { HTTP_PROXY: url, https_proxy: url };
  // The proxy answers CONNECT with an error.
  const other = await run('--once', '--data', data, '--dataverse', 'https://contoso.example');
  proxies = {};
  expect(other.code).toBe(1);
  expect(other.stderr).toContain('Error: Cannot reach Dataverse at https://contoso.example');
  expect(connects).toEqual(['contoso.example:443']);
});

test('an unknown option prints the help and exits with status 2', async () => {
  const { code, stderr } = await run('--onec');
  expect(code).toBe(2);
  expect(stderr).toContain("Unknown option '--onec'");
  expect(stderr).toContain('Usage: npm start');
  const help = await run('--help');
  expect([help.code, help.stdout.startsWith('Usage: npm start')]).toEqual([0, true]);
});

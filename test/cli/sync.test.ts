import { spawn } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { forCommand } from '../../src/cli/hint-for-command.ts';
import { databasePath, LocalSync, localPaths } from '../../src/cli/sync/local-sync.ts';
import { parseSyncOptions } from '../../src/cli/sync/sync-options.ts';
import { parseEntities } from '../../src/config/entities.ts';
import { readSettings } from '../../src/config/settings.ts';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import { lockFolder } from '../../src/storage/folder/folder-lock.ts';
import { allowMassDeleteHint } from '../../src/sync/round/round-merge.ts';
import type { RunStatus } from '../../src/sync/run/run-status.ts';
import type { LogLevel } from '../../src/telemetry/telemetry.ts';
import { differences, readTruth, withDatabase } from '../sync/truth.ts';

const tables = ['account', 'contact', 'email', 'new_ledgerentry'];
const sets: Record<string, string> = {
  account: 'accounts',
  contact: 'contacts',
  email: 'emails',
  new_ledgerentry: 'new_ledgerentries',
};

let folder: string;
let dataverse: SampleDataverse;
let log: { level: LogLevel; message: string }[];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cli-'));
  dataverse = await startSampleDataverse({ rows: 400 });
});
afterAll(async () => {
  await dataverse.stop();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  log = [];
});

let files = 0;
const newFile = (): string => join(folder, `mirror-${files++}.db`);

/** One sync, as another process would do it: nothing but the files is left of the one before. */
async function syncInto(
  file: string,
  options: {
    settings?: Record<string, string>;
    entities?: unknown[];
    onOpen?: (sync: LocalSync) => void;
  } = {},
): Promise<RunStatus & { wasResumed: boolean }> {
  const settings = readSettings({
    DATAVERSE_URL: dataverse.url,
    DATAVERSE_ACCESS_TOKEN: 'test',
    AzureWebJobsStorage: 'UseDevelopmentStorage=true',
    SYNC_RECONCILE_EVERY: '1',
    ...options.settings,
  });
  const telemetry = {
    log: (level: LogLevel, message: string) => void log.push({ level, message }),
    event: () => undefined,
    metric: () => undefined,
  };
  const entities = parseEntities(options.entities ?? tables);
  const local = await LocalSync.open(settings, () => entities, localPaths(file), telemetry);
  options.onOpen?.(local);
  const { status, resumed } = await local.run({}, () => undefined);
  return { ...status, wasResumed: resumed };
}

async function expectMirror(file: string): Promise<void> {
  const found: string[] = [];
  for (const [name, entitySet] of Object.entries(sets)) {
    const truth = await readTruth(dataverse.url, entitySet);
    expect(truth.length).toBeGreaterThan(0);
    const primaryKey = name === 'email' ? 'activityid' : `${name}id`;
    withDatabase(readFileSync(file), (db) => {
      expect(db.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
      found.push(...differences(db, { entitySet, primaryKey }, truth));
    });
  }
  expect(found).toEqual([]);
}

const isQuiet = () => expect(log.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);

describe('a sync in one process', () => {
  it('reads all rows, then nothing, then what changed and was deleted', async () => {
    const file = newFile();
    const first = await syncInto(file);
    expect(first).toMatchObject({ phase: 'complete', trigger: 'command', wasResumed: false });
    await expectMirror(file);

    const before = statSync(file, { bigint: true });
    const idle = await syncInto(file);
    expect(idle.totals).toMatchObject({ added: 0, updated: 0, deleted: 0 });
    expect(idle.totals.requests).toBeLessThanOrEqual(2 * tables.length);
    expect(statSync(file, { bigint: true })).toMatchObject({ ino: before.ino, mtimeNs: before.mtimeNs });

    const [one, other] = [...dataverse.store.truth('account').keys()];
    await change(`accounts(${one})`, 'PATCH', { name: 'Changed' });
    await change(`accounts(${other})`, 'DELETE');
    const third = await syncInto(file);
    expect(third.totals).toMatchObject({ added: 0, deleted: 1 });
    expect(third.totals.updated).toBeGreaterThanOrEqual(1);
    await expectMirror(file);
    isQuiet();
  });

  it('goes on from the database alone, if its state beside it is lost', async () => {
    const file = newFile();
    await syncInto(file);
    rmSync(localPaths(file).state, { recursive: true });
    const again = await syncInto(file);
    expect(again.totals).toMatchObject({ added: 0, updated: 0, deleted: 0 });
    expect(again.entities.find(({ name }) => name === 'account')).toMatchObject({
      strategy: 'delta',
      rowsRead: 0,
    });
    await expectMirror(file);
  });

  it('reads everything again if the database is lost', async () => {
    const file = newFile();
    const { totals } = await syncInto(file);
    rmSync(file);
    expect((await syncInto(file)).totals.added).toBe(totals.added);
    await expectMirror(file);
  });

  it('notices that another program wrote to the database', async () => {
    const file = newFile();
    await syncInto(file);
    const db = new DatabaseSync(file);
    db.exec('CREATE TABLE mine(x); INSERT INTO mine VALUES (1)');
    db.close();
    const [id] = [...dataverse.store.truth('contact').keys()];
    await change(`contacts(${id})`, 'PATCH', { firstname: 'Changed again' });
    expect((await syncInto(file)).phase).toBe('complete');
    await expectMirror(file);
    withDatabase(readFileSync(file), (mirror) =>
      expect(mirror.prepare('SELECT x FROM mine').all()).toEqual([{ x: 1 }]),
    );
  });

  it('does not touch a database whose journal another program left', async () => {
    const file = newFile();
    await syncInto(file);
    writeFileSync(`${file}-wal`, 'x');
    const before = readFileSync(file);
    const [id] = [...dataverse.store.truth('contact').keys()];
    await change(`contacts(${id})`, 'PATCH', { firstname: 'Once more' });
    const status = await syncInto(file);
    expect(status).toMatchObject({ phase: 'failed', error: expect.stringContaining(`${file}-wal`) });
    expect(readFileSync(file).equals(before)).toBe(true);
    rmSync(`${file}-wal`);
    expect((await syncInto(file)).phase).toBe('complete');
    await expectMirror(file);
  });

  it('keeps the state that a reader has open', async () => {
    const file = newFile();
    await syncInto(file);
    const reader = new DatabaseSync(file, { readOnly: true });
    const count = () => reader.prepare('SELECT count(*) AS n FROM accounts').get()!['n'];
    const before = count();
    await change('accounts', 'POST', { name: 'New' });
    expect((await syncInto(file)).totals.added).toBe(1);
    expect(count()).toBe(before);
    reader.close();
    await expectMirror(file);
  });

  it('works in parts of a database that does not fit into its memory', async () => {
    const file = newFile();
    await syncInto(file, { settings: { SYNC_CACHE_MB: '0.001' } });
    await change('contacts', 'POST', { firstname: 'New' });
    await syncInto(file, { settings: { SYNC_CACHE_MB: '0.001' } });
    await expectMirror(file);
    isQuiet();
  });

  it('keeps tables of another database in a file beside it, which no other mirror shares', async () => {
    const file = newFile();
    const entities = ['account', { name: 'contact', database: 'sales' }];
    await syncInto(file, { entities });
    const other = databasePath(file, 'sales');
    expect(other).toBe(file.replace('.db', '-sales.db'));
    withDatabase(readFileSync(other), (db) =>
      expect(db.prepare('SELECT count(*) AS n FROM contacts').get()!['n']).toBe(
        dataverse.store.count('contact'),
      ),
    );
    const again = await syncInto(file, { entities });
    expect(again.totals).toMatchObject({ added: 0, updated: 0 });
  });

  it('tells of a table that Dataverse does not have', async () => {
    const status = await syncInto(newFile(), { entities: ['account', 'acount'] });
    expect(status).toMatchObject({
      phase: 'failed',
      error: expect.stringContaining('did you mean account?'),
    });
  });
});

async function change(path: string, method: string, body?: object): Promise<void> {
  const response = await fetch(`${dataverse.url}/api/data/v9.2/${path}`, {
    method,
    headers: { authorization: 'Bearer test', 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  });
  expect(response.ok, `${method} ${path}: ${response.status}`).toBe(true);
}

const main = resolve(import.meta.dirname, '../../dist/cli/main.js');

/** The built command. @param killAt the process is killed when this file exists */
function run(
  args: string[],
  killWhen?: () => boolean,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [main, ...args], {
    env: { PATH: process.env['PATH'], DATAVERSE_ACCESS_TOKEN: 'test' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => (output.stdout += chunk));
  child.stderr.on('data', (chunk) => (output.stderr += chunk));
  const watch = setInterval(() => killWhen?.() && child.kill('SIGKILL'), 5);
  return new Promise((done) => {
    child.once('close', (code) => {
      clearInterval(watch);
      done({ code, ...output });
    });
  });
}

describe('the command sync', () => {
  it('continues after it was killed', async () => {
    const file = newFile();
    const args = ['sync', '--dataverse', dataverse.url, '--tables', tables.join(), '--out', file, '--json'];
    const state = localPaths(file).state;
    const killed = await run(args, () => existsSync(join(state, 'work/active.json')));
    expect(killed.code).toBeNull();
    const again = await run(args);
    expect(again.code, again.stderr).toBe(0);
    expect(again.stderr).toContain('The interrupted sync is complete.');
    expect(JSON.parse(again.stdout)).toMatchObject({ phase: 'complete', database: { file } });
    await expectMirror(file);
    expect(statSync(file).mode & 0o077).toBe(0);
  });

  it('is refused while another process syncs into the same file', async () => {
    const file = newFile();
    const lock = await lockFolder(localPaths(file).state, file);
    const { code, stderr } = await run([
      'sync',
      '--dataverse',
      dataverse.url,
      '--tables',
      'account',
      '--out',
      file,
    ]);
    lock.release();
    expect([code, stderr]).toEqual([1, expect.stringContaining(`${file} is in use by another process.`)]);
  });

  it('follows a symbolic link to the mirror', async () => {
    const file = newFile();
    const link = `${file}-link`;
    symlinkSync(file, link);
    writeFileSync(file, '');
    const args = ['sync', '--dataverse', dataverse.url, '--tables', 'account', '--out', link, '--quiet'];
    const { code, stderr } = await run(args);
    expect([code, stderr]).toEqual([0, '']);
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(statSync(file).size).toBeGreaterThan(100_000);
    expect(existsSync(localPaths(file).state)).toBe(true);
  });

  it('follows a symbolic link to a file that does not exist yet, and refuses one that leads nowhere', async () => {
    const file = newFile();
    const [link, other, circle] = [`${file}-link`, `${file}-other`, `${file}-circle`] as const;
    symlinkSync(basename(file), link);
    symlinkSync(link, other);
    const args = ['sync', '--dataverse', dataverse.url, '--tables', 'account', '--quiet', '--out'];
    expect(await run([...args, other])).toMatchObject({ code: 0, stderr: '' });
    expect(lstatSync(link).isSymbolicLink() && lstatSync(other).isSymbolicLink()).toBe(true);
    expect(statSync(file).size).toBeGreaterThan(100_000);
    expect([link, other].some((one) => existsSync(localPaths(one).state))).toBe(false);

    symlinkSync(circle, circle);
    expect(await run([...args, circle])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('leads to itself'),
    });
    const gone = `${file}-gone`;
    symlinkSync(join(folder, 'no-folder', 'my.db'), gone);
    expect(await run([...args, gone])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`The folder ${join(folder, 'no-folder')} does not exist.`),
    });
  });

  it('says what to do in words of the command', () => {
    const hint =
      'If these deletes are right, allow them once: POST /api/sync with {"allowMassDelete": ["contact"]}.';
    expect(forCommand(hint, { tables: true })).toContain('run the command with --allow-mass-delete contact');
    expect(forCommand('Remove it from entities.json.', { tables: true })).toBe('Remove it from --tables.');
    expect(forCommand('Remove it from entities.json.', { tables: false })).toBe(
      'Remove it from entities.json.',
    );
    expect(allowMassDeleteHint('contact')).toBe(hint);
  });

  it('explains itself, and says what is wrong with its options', async () => {
    const help = await run(['sync', '--help']);
    expect([help.code, help.stdout]).toEqual([0, expect.stringContaining('--dataverse URL')]);
    const unknown = await run(['sink']);
    expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringContaining('did you mean sync?')]);
    const option = await run(['sync', '--table', 'account']);
    expect([option.code, option.stderr]).toEqual([2, expect.stringContaining("Unknown option '--table'")]);
  });

  it.each([
    [['--tables', 'account'], '--out is missing.'],
    [['--out', 'my.db'], 'Give either --tables or --entities.'],
    [['--out', 'my.db', '--tables', ''], 'the list of entities is empty'],
    [['--out', 'my.db', '--tables', 'Account'], 'must be a logical name'],
    [['--out', 'my.db', '--entities', 'nowhere.json'], 'nowhere.json not found.'],
    [['--out', 'my.db', '--tables', 'account', '--reread', 'acount'], 'did you mean account?'],
    [
      ['--out', 'my.db', '--tables', 'account', '--allow-mass-delete', 'contact'],
      'contact is not among the tables',
    ],
  ])('%j are rejected', (args, message) => {
    expect(() => parseSyncOptions(args)).toThrow(message);
  });
});

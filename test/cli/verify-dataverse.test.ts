import { execFile } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { LocalSync, localPaths } from '../../src/cli/sync/local-sync.ts';
import { compareMirror, type MirrorComparison } from '../../src/cli/verify/compare/compare-mirror.ts';
import { parseEntities } from '../../src/config/entities.ts';
import { readSettings, type Settings } from '../../src/config/settings.ts';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';

const main = resolve(import.meta.dirname, '../../dist/cli/main.js');
let folder: string;
let dataverse: SampleDataverse;
let settings: Settings;
let file: string;
let copies = 0;
/** Its delete changes no other row. */
let unreferenced: string;

const entities = [
  { name: 'account', decimals: 'text', history: true },
  { name: 'contact', deletes: 'mark' },
  'lead',
  { name: 'systemuser', filtered: true },
  { name: 'email', database: 'mails' },
];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'verify-dataverse-'));
  dataverse = await startSampleDataverse({ rows: 600 });
  unreferenced = dataverse.store.create('account', { name: 'Unreferenced' });
  settings = readSettings({
    DATAVERSE_URL: dataverse.url,
    DATAVERSE_ACCESS_TOKEN: 'test',
    // Several pages of each table.
    DATAVERSE_PAGE_SIZE: '40',
    AzureWebJobsStorage: 'UseDevelopmentStorage=true',
  });
  await sync(join(folder, 'whole.db'));
});
afterAll(async () => {
  await dataverse.stop();
  rmSync(folder, { recursive: true });
});

async function sync(path: string): Promise<void> {
  const quiet = { log: () => undefined, event: () => undefined, metric: () => undefined };
  const tables = parseEntities(entities);
  const run = await LocalSync.open(settings, () => tables, localPaths(path), quiet);
  const { status } = await run.run({}, () => undefined);
  expect(status.phase).toBe('complete');
}

beforeEach(() => {
  file = join(folder, `copy-${copies++}.db`);
  const from = join(folder, 'whole.db');
  copyFileSync(from, file);
  copyFileSync(join(folder, 'whole-mails.db'), file.replace('.db', '-mails.db'));
  cpSync(`${from}-sync`, `${file}-sync`, { recursive: true });
});

function damage(work: (db: DatabaseSync) => void): void {
  const db = new DatabaseSync(file);
  db.exec('PRAGMA foreign_keys = OFF');
  work(db);
  db.close();
}

async function compare(options: { keysOnly?: boolean; database?: string } = {}): Promise<MirrorComparison> {
  const { keysOnly = false, database } = options;
  const result = await compareMirror({
    ...{ settings, database, keysOnly },
    paths: localPaths(file),
    onTable: () => undefined,
  });
  // The page with rows of Dataverse is gone.
  expect(existsSync(`${file}-sync/verify`)).toBe(false);
  return result;
}

const of = (result: MirrorComparison, name: string) => {
  const found = result.tables.find(({ table }) => table === name)!;
  if ('error' in found) throw new Error(found.error);
  return found;
};
const nothing = { missing: 0, gone: 0, different: 0, changedSince: 0, computed: 0 };
const first = (db: DatabaseSync, sql: string) => db.prepare(sql).get() as Record<string, string>;

it('finds a mirror equal, with decimals as texts, history, filtered tables and several files', async () => {
  const result = await compare();
  expect(result.isEqual).toBe(true);
  expect(result.tables.map(({ table }) => table).sort()).toEqual([
    'account',
    'contact',
    'lead',
    'systemuser',
  ]);
  for (const { table } of result.tables) {
    expect(of(result, table)).toMatchObject(nothing);
    expect(of(result, table).dataverseRows).toBe(of(result, table).rows);
  }
  expect(of(result, 'account')).toMatchObject({ rows: dataverse.store.count('account'), history: 0 });
  const mails = await compare({ database: 'mails' });
  expect(mails).toMatchObject({ isEqual: true, tables: [{ table: 'email' }] });
});

describe('damage is found:', () => {
  it('the last digit of an amount', async () => {
    let row: Record<string, string> = {};
    damage((db) => {
      row = first(db, "SELECT accountid AS id, revenue FROM accounts WHERE revenue LIKE '%.%' LIMIT 1");
      const digit = (Number(row['revenue']!.at(-1)) + 1) % 10;
      row['changed'] = `${row['revenue']!.slice(0, -1)}${digit}`;
      db.prepare('UPDATE accounts SET revenue = ? WHERE accountid = ?').run(row['changed'], row['id']!);
    });
    const result = await compare();
    expect(result.isEqual).toBe(false);
    // The history has the right value.
    expect(of(result, 'account')).toMatchObject({ ...nothing, different: 1, history: 1 });
    expect(of(result, 'account').examples.different).toEqual([
      {
        id: row['id'],
        columns: [{ column: 'revenue', mirror: row['changed'], dataverse: row['revenue'] }],
      },
    ]);
  });

  it('a zero at the end of a decimal, a value that is empty, and one digit of a 64-bit version', async () => {
    const ids: string[] = [];
    damage((db) => {
      const rows = db.prepare('SELECT leadid AS id FROM leads ORDER BY 1 LIMIT 2').all() as { id: string }[];
      ids.push(...rows.map(({ id }) => id));
      db.prepare('UPDATE leads SET createdon = NULL WHERE leadid = ?').run(ids[0]!);
      db.prepare('UPDATE leads SET versionnumber = versionnumber + 1 WHERE leadid = ?').run(ids[1]!);
      db.exec(
        "UPDATE accounts SET exchangerate = exchangerate || '0' WHERE accountid = (SELECT min(accountid) FROM accounts WHERE exchangerate IS NOT NULL)",
      );
    });
    const result = await compare();
    expect(of(result, 'account')).toMatchObject({ different: 1 });
    expect(of(result, 'lead')).toMatchObject({ ...nothing, different: 2 });
    const { different } = of(result, 'lead').examples;
    expect(different.map(({ id, columns }) => [id, columns.map(({ column }) => column)])).toEqual([
      [ids[0], ['createdon']],
      [ids[1], ['versionnumber']],
    ]);
    expect(different[0]!.columns[0]).toMatchObject({ mirror: null, dataverse: expect.any(String) });
  });

  it('rows that are absent, that Dataverse does not have, and that are marked as deleted', async () => {
    const extra = '00000000-0000-0000-0000-00000000beef';
    let absent = '';
    damage((db) => {
      absent = first(db, 'SELECT min(accountid) AS id FROM accounts')['id']!;
      db.prepare('DELETE FROM accounts WHERE accountid = ?').run(absent);
      db.prepare('INSERT INTO accounts (accountid, name) VALUES (?, ?)').run(extra, 'Extra');
      db.exec(
        "UPDATE contacts SET _deleted_at = '2026-01-01' WHERE contactid = (SELECT min(contactid) FROM contacts)",
      );
      db.exec('DELETE FROM systemusers WHERE rowid = (SELECT min(rowid) FROM systemusers)');
      db.prepare('INSERT INTO systemusers (systemuserid, ownerid) VALUES (?, ?)').run(extra, extra);
    });
    const result = await compare();
    expect(of(result, 'account')).toMatchObject({
      ...{ ...nothing, missing: 1, gone: 1 },
      examples: { missing: [absent], gone: [extra] },
    });
    expect(of(result, 'contact')).toMatchObject({ ...nothing, missing: 1 });
    expect(of(result, 'systemuser')).toMatchObject({ ...nothing, missing: 1, gone: 1, unneeded: 1 });
  });

  it('in keys and versions alone, for a part of the cost', async () => {
    damage((db) => {
      db.exec("UPDATE leads SET subject = 'Another' WHERE leadid = (SELECT min(leadid) FROM leads)");
      db.exec('DELETE FROM contacts WHERE contactid = (SELECT min(contactid) FROM contacts)');
    });
    const [keys, rows] = [await compare({ keysOnly: true }), await compare()];
    expect(of(keys, 'contact')).toMatchObject({ ...nothing, missing: 1 });
    expect(of(keys, 'lead')).toMatchObject(nothing);
    expect(of(rows, 'lead')).toMatchObject({ ...nothing, different: 1 });
    expect(keys.bytes).toBeLessThan(rows.bytes / 2);
  });
});

it('tells rows that were changed since the sync from rows that differ', async () => {
  const { store } = dataverse;
  const [account] = [...store.truth('account').keys()].slice(10) as [string];
  const [lead] = [...store.truth('lead').keys()] as [string];
  const backup = store.backup();
  damage((db) => {
    db.exec("UPDATE accounts SET name = 'Damaged' WHERE accountid = (SELECT min(accountid) FROM accounts)");
  });
  try {
    store.update('account', account, { revenue: 12.5 });
    store.create('account', { name: 'New' });
    store.delete('account', unreferenced);
    store.update('lead', lead, { subject: 'Changed' });
    store.create('lead', { subject: 'New' });
    const result = await compare();
    expect(of(result, 'account')).toMatchObject({ ...nothing, different: 1, changedSince: 3 });
    expect(of(result, 'lead')).toMatchObject({ ...nothing, changedSince: 2 });
    // Dataverse does not know any more what changed: versions tell.
    const expired = dataverse.faults.add({ kind: 'expired-token', match: /deltatoken/ });
    const without = await compare();
    expect(expired.hits).toBe(1);
    expect(of(without, 'account')).toMatchObject({ ...nothing, different: 1, gone: 1, changedSince: 2 });
  } finally {
    store.restore(backup);
  }
});

it('reports a table that cannot be read, and ends with the right status', async () => {
  const run = (...args: string[]) =>
    promisify(execFile)(process.execPath, [main, 'verify', file, '--dataverse', dataverse.url, ...args], {
      env: { ...process.env, DATAVERSE_ACCESS_TOKEN: 'test' },
    }).then(
      (output) => ({ code: 0, ...output }),
      (error: { code: number; stdout: string; stderr: string }) => error,
    );
  const equal = await run();
  expect([equal.code, equal.stderr]).toEqual([0, '']);
  expect(equal.stdout).toMatch(/^Sound: .*\naccount|contact|lead|systemuser/);
  expect(equal.stdout).toContain('Equal to Dataverse: 4 tables');

  dataverse.store.deniedPrivileges.add('prvReadlead');
  damage((db) => db.exec("UPDATE contacts SET fullname = 'A\u001b[31m' WHERE rowid = 1"));
  const different = await run();
  const json = await run('--json');
  dataverse.store.deniedPrivileges.clear();
  expect(different.code).toBe(1);
  expect(different.stdout).toContain('lead: NOT COMPARED: ');
  expect(different.stdout).toMatch(/contact: DIFFERENT: 1 row with other values/);
  expect(different.stdout).not.toContain('\u001b');
  expect(different.stdout).toContain('Not equal to Dataverse: 2 of 4 tables');
  expect(json.code).toBe(1);
  const { comparison, faultCount } = JSON.parse(json.stdout);
  expect([faultCount, comparison.isEqual]).toEqual([0, false]);
  expect(comparison.tables.find(({ table }: { table: string }) => table === 'contact')).toMatchObject({
    different: 1,
    examples: { different: [{ columns: [{ column: 'fullname', mirror: 'A\u001b[31m' }] }] },
  });
  expect(await run('--keys', '--wrong')).toMatchObject({ code: 2 });
});

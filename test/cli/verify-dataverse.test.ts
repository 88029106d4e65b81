import { execFile } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { LocalSync, localPaths, localServices } from '../../src/cli/sync/local-sync.ts';
import { compareMirror, type MirrorComparison } from '../../src/cli/verify/compare/compare-mirror.ts';
import { compareTable } from '../../src/cli/verify/compare/compare-table.ts';
import { summaryLines, tableLines } from '../../src/cli/verify/compare/comparison-lines.ts';
import { parseEntities } from '../../src/config/entities.ts';
import { readSettings, type Settings } from '../../src/config/settings.ts';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import { createTelemetry } from '../../src/telemetry/telemetry.ts';

const main = resolve(import.meta.dirname, '../../dist/cli/main.js');
let folder: string;
let dataverse: SampleDataverse;
let settings: Settings;
let file: string;
let copies = 0;
/** Its delete changes no other row. */
let unreferenced: string;

const entities: unknown[] = [
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

async function sync(path: string, tables = entities): Promise<void> {
  const quiet = { log: () => undefined, event: () => undefined, metric: () => undefined };
  const configs = parseEntities(tables);
  const run = await LocalSync.open(settings, () => configs, localPaths(path), quiet);
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

/** Changes the state of leads as an earlier version may have left it. */
function editState(work: (lead: Record<string, unknown>) => void): void {
  const path = `${file}-sync/published/state.json`;
  const state = JSON.parse(readFileSync(path, 'utf8'));
  work(state.entities.lead);
  writeFileSync(path, JSON.stringify(state));
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
const nothing = {
  ...{ missing: 0, gone: 0, different: 0, changedSince: 0, computed: 0 },
  ...{ undated: 0, unexplained: 0 },
};
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
    expect(of(result, table), table).toMatchObject(nothing);
    expect(of(result, table).dataverseRows).toBe(of(result, table).rows);
  }
  expect(of(result, 'account')).toMatchObject({ rows: dataverse.store.count('account'), history: 0 });
  expect(result).toMatchObject({ hasComputedDifferences: false, otherDatabases: ['mails'] });
  const mails = await compare({ database: 'mails' });
  expect(mails).toMatchObject({
    ...{ isEqual: true, tables: [{ table: 'email' }], otherDatabases: [undefined] },
  });
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

  it('the newest rows, and the newest update, of tables without change tracking', async () => {
    let absent: string[] = [];
    damage((db) => {
      const newest = 'SELECT leadid AS id FROM leads ORDER BY versionnumber DESC LIMIT 3';
      absent = (db.prepare(newest).all() as { id: string }[]).map(({ id }) => id);
      db.exec(`DELETE FROM leads WHERE leadid IN (SELECT id FROM (${newest}))`);
      db.exec(
        "UPDATE systemusers SET versionnumber = versionnumber - 1000000, fullname = 'Earlier' WHERE versionnumber = (SELECT max(versionnumber) FROM systemusers)",
      );
    });
    for (const keysOnly of [false, true]) {
      const result = await compare({ keysOnly });
      expect(result.isEqual).toBe(false);
      expect(of(result, 'lead')).toMatchObject({ ...nothing, missing: 3 });
      expect(of(result, 'lead').examples.missing.sort()).toEqual(absent.toSorted());
      expect(of(result, 'systemuser')).toMatchObject({ ...nothing, different: 1 });
    }
  });

  it('by the times of rows, in a mirror whose state does not say which version reads had reached', async () => {
    const { store } = dataverse;
    const backup = store.backup();
    damage((db) => {
      db.exec(
        'DELETE FROM leads WHERE leadid = (SELECT leadid FROM leads ORDER BY versionnumber DESC LIMIT 1)',
      );
    });
    editState((lead) => {
      delete lead['reached'];
    });
    const [lead] = [...store.truth('lead').keys()] as [string];
    try {
      store.update('lead', lead, { subject: 'Changed' });
      expect(of(await compare(), 'lead')).toMatchObject({ ...nothing, missing: 1, changedSince: 1 });
    } finally {
      store.restore(backup);
    }
  });

  it('a version that came without a new time, which is no proof of a later change', async () => {
    const { store } = dataverse;
    const backup = store.backup();
    const [lead, other] = [...store.truth('lead').keys()] as [string, string];
    const { modifiedon = null } = store.truth('lead').get(lead)!;
    try {
      store.update('lead', lead, { subject: 'By a job', modifiedon });
      store.update('lead', other, { subject: 'By a person' });
      const result = await compare();
      expect(result.isEqual).toBe(false);
      expect(of(result, 'lead')).toMatchObject({
        ...{ ...nothing, undated: 1, changedSince: 1, examples: { undated: [lead] } },
      });
    } finally {
      store.restore(backup);
    }
  });

  it('a needed row of a filtered table that is wrongly marked as deleted', async () => {
    await sync(file, ['account', { name: 'systemuser', filtered: true, deletes: 'mark' }]);
    damage((db) => {
      db.exec(
        "UPDATE systemusers SET _deleted_at = '2026-01-01T00:00:00Z' WHERE systemuserid = (SELECT min(_ownerid_value) FROM accounts)",
      );
    });
    expect(of(await compare(), 'systemuser')).toMatchObject({ ...nothing, missing: 1 });
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

describe('values of one version that differ:', () => {
  const change = (name: string, what: object) => {
    const column = dataverse.store.table('lead').columns.find((one) => one.name === name)!;
    Object.assign(column, what);
    return () => {
      for (const key of Object.keys(what)) delete (column as unknown as Record<string, unknown>)[key];
    };
  };
  const lose = (column: string, value: string) =>
    damage((db) =>
      db.exec(
        `UPDATE leads SET ${column} = ${value} WHERE leadid = (SELECT min(leadid) FROM leads WHERE ${column} IS NOT NULL)`,
      ),
    );

  it('calculated ones are no fault', async () => {
    const restore = change('subject', { source: 'calculated' });
    lose('subject', "'Another'");
    const result = await compare();
    restore();
    expect(result).toMatchObject({ isEqual: true, hasComputedDifferences: true });
    expect(of(result, 'lead')).toMatchObject({ ...nothing, computed: 1 });
    expect(summaryLines(result)[0]).toContain('Equal to Dataverse except computed or secured values');
    expect(of(await compare(), 'lead')).toMatchObject({ ...nothing, different: 1 });
  });

  it('secured ones are a fault unless one side hides the value', async () => {
    const restore = change('subject', { secured: 'readable' });
    lose('subject', "'Another'");
    const changed = await compare();
    lose('subject', 'NULL');
    const hidden = await compare();
    restore();
    expect(changed.isEqual).toBe(false);
    expect(of(changed, 'lead')).toMatchObject({ ...nothing, different: 1 });
    expect(hidden).toMatchObject({ isEqual: true, hasComputedDifferences: true });
    expect(of(hidden, 'lead')).toMatchObject({ ...nothing, computed: 1 });
  });

  it('a computed value does not excuse another one', async () => {
    const restore = change('subject', { source: 'calculated' });
    lose('subject', "'Another', createdon = NULL");
    const result = await compare();
    restore();
    expect(of(result, 'lead')).toMatchObject({ ...nothing, different: 1 });
  });

  it('without the definitions it is not known which are computed', async () => {
    lose('subject', "'Another'");
    const fault = dataverse.faults.add({
      ...{ kind: 'error', status: 403, code: '0x80040220', message: 'No.', match: /Attributes/, times: 10 },
    });
    const result = await compare();
    fault.remove();
    expect(result.isEqual).toBe(false);
    expect(of(result, 'lead')).toMatchObject({ ...nothing, unexplained: 1 });
    expect(result.tables.flatMap(tableLines).join('\n')).toContain('cannot be read (prvReadAttribute)');
  });
});

it('finds rows equal that only changed since a sync in which their table failed', async () => {
  const { store } = dataverse;
  const backup = store.backup();
  const [lead] = [...store.truth('lead').keys()] as [string];
  const [account] = [...store.truth('account').keys()] as [string];
  try {
    store.deniedPrivileges.add('prvReadlead');
    store.update('lead', lead, { subject: 'Changed' });
    // Its delta token is later than the change.
    store.update('account', account, { name: 'Changed' });
    await sync(file);
    store.deniedPrivileges.clear();
    const result = await compare();
    expect(of(result, 'account')).toMatchObject(nothing);
    expect(of(result, 'lead')).toMatchObject({ ...nothing, changedSince: 1 });
    expect(result.isEqual).toBe(true);
  } finally {
    store.deniedPrivileges.clear();
    store.restore(backup);
  }
});

it('counts a row as changed that is deleted while the comparison goes on', async () => {
  const { store } = dataverse;
  const backup = store.backup();
  const [lead] = [...store.truth('lead').keys()] as [string];
  damage((db) => db.prepare("UPDATE leads SET subject = 'Another' WHERE leadid = ?").run(lead));
  const silent = createTelemetry(
    () => () => undefined,
    () => undefined,
  );
  const services = await localServices(settings, localPaths(file), silent);
  const { state } = await services.mirror.loadState();
  const client = Object.create(services.dataverse, {
    readByIds: {
      value: (query: Parameters<typeof services.dataverse.readByIds>[0]) => {
        store.delete('lead', lead);
        return services.dataverse.readByIds(query);
      },
    },
  });
  const pages = join(folder, 'pages');
  mkdirSync(pages);
  try {
    const found = await compareTable(
      {
        ...{ dataverse: client, sqlite: services.sqlite, folder: pages, pathOf: () => file },
        ...{ pageSize: 40, overlapSeconds: 300, keysOnly: false },
      },
      state.entities['lead']!,
      [],
    );
    expect(found).toMatchObject({ ...nothing, changedSince: 1 });
  } finally {
    store.restore(backup);
  }
});

describe('nothing is equal that was not compared:', () => {
  it('a database without tables', async () => {
    await expect(compare({ database: 'typo' })).rejects.toThrow(
      'No table of the mirror is in the database typo.',
    );
    const moved = join(folder, 'moved.db');
    await sync(moved, [{ name: 'account', database: 'x' }]);
    file = moved;
    await expect(compare()).rejects.toMatchObject({
      message: 'No table of the mirror is in the default database.',
      hint: expect.stringContaining('--database x'),
    });
  });

  it('a table that no sync has read', async () => {
    const { store } = dataverse;
    file = join(folder, 'never.db');
    store.deniedPrivileges.add('prvReadlead');
    await sync(file, ['account', 'lead', { name: 'email', database: 'mails' }]);
    store.deniedPrivileges.clear();
    const result = await compare();
    expect(result.isEqual).toBe(false);
    expect(result.tables).toMatchObject([{ table: 'account' }, { table: 'lead' }]);
    expect(result.tables.flatMap(tableLines)).toContain(
      'lead: NOT COMPARED: never synced: the mirror does not have this table yet',
    );
    expect(summaryLines(result)).toContain('Not compared: --database mails');
    expect(await compare({ database: 'mails' })).toMatchObject({ isEqual: true });
  });

  it('the mirror of another organisation', async () => {
    const { store } = dataverse;
    const id = store.organizationId;
    store.organizationId = '99999999-0000-4000-8000-00000000000f';
    await expect(compare()).rejects.toThrow('The mirror is of another organisation');
    store.organizationId = id;
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
  expect(equal.stdout).toMatch(/^Sound: .*\n/);
  expect(equal.stdout.match(/^(account|contact|lead|systemuser): equal \(/gm)).toHaveLength(4);
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

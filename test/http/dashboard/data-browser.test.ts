import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  type Filter,
  filterOf,
  filterText,
  operators,
  positionColumn,
  rowidName,
  statementOf,
  type View,
} from '../../../src/browser/sql.ts';
import { type SampleDataverse, startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import { chromiumAbsent, chromiumPath } from './chromium.ts';

const root = resolve(import.meta.dirname, '../../..');
const hostile = `<img src=x onerror=alert(1)>"',|`;

describe('the pages of a table', () => {
  const columns = 'v, n TEXT, b BLOB';
  const kinds = {
    rowid: `id TEXT, part TEXT, ${columns}, PRIMARY KEY (id)`,
    composite: `id TEXT, part TEXT NOT NULL, ${columns}, PRIMARY KEY (part, id)`,
    keyless: `id TEXT, part TEXT, ${columns}`,
    taken: `id TEXT, part TEXT, ${columns}, rowid TEXT, PRIMARY KEY (id)`,
    'without rowid': `id TEXT, part TEXT, ${columns}, PRIMARY KEY (id)`,
    'composite without rowid': `id TEXT, part TEXT, ${columns}, PRIMARY KEY (part, id)`,
  };

  test.each(Object.entries(kinds))('have each row once, in every order: %s', (kind, definition) => {
    const isWithout = kind.endsWith('without rowid');
    using db = new DatabaseSync(':memory:');
    db.exec(`CREATE TABLE t (${definition})${isWithout ? ' WITHOUT ROWID' : ''}`);
    const insert = db.prepare('INSERT INTO t (id, part, v, n, b) VALUES (?, ?, ?, ?, ?)');
    const prefix = 'x'.repeat(210);
    for (let n = 0; n < 310; n++) {
      const blob = new Uint8Array([n % 9, 1]);
      const mixed = [null, n % 5, n * 1.5, `${prefix}${n % 60}`, blob][n % 5]!;
      const text = n % 3 === 0 ? null : `${prefix}${n % 7}`;
      insert.run(`${prefix}${(n * 79) % 310}`, `p${n % 2}`, mixed, text, n % 4 === 0 ? null : blob);
    }
    const table = db.prepare('SELECT name, pk FROM pragma_table_info(?) ORDER BY pk').all('t');
    const names = table.map(({ name }) => String(name));
    const key = table.filter(({ pk }) => pk !== 0).map(({ name }) => String(name));
    const rowid = isWithout ? undefined : rowidName(names);
    expect(rowid).toBe(rowid && (kind === 'taken' ? '_rowid_' : 'rowid'));
    const sorts = names.flatMap((column) => [true, false].map((isDescending) => ({ column, isDescending })));
    for (const sort of [undefined, ...sorts]) {
      const found: unknown[] = [];
      const values: unknown[] = [];
      let begin: Pick<View, 'after' | 'offset'> = {};
      for (let page = 1; page < 9; page++) {
        const { sql, parameters } = statementOf({ table: 't', filters: [], sort, rowid, key, ...begin });
        const rows = db.prepare(sql).all(...parameters);
        const shown = rows.slice(0, 100);
        found.push(...shown.map(({ id, part }) => `${id} ${part}`));
        values.push(...shown.map((row) => sort && row[sort.column]));
        if (rows.length <= 100) break;
        const position = shown.at(-1)![positionColumn] as number;
        begin = { after: { position, isNull: values.at(-1) === null }, offset: page * 100 };
      }
      expect(new Set(found).size, JSON.stringify(sort)).toBe(310);
      expect(found).toHaveLength(310);
      if (sort === undefined) continue;
      const ordered = db.prepare(
        `SELECT ${sort.column} AS one FROM t ORDER BY 1 ${sort.isDescending ? 'DESC' : 'ASC'}`,
      );
      expect(values).toEqual(ordered.all().map(({ one }) => one));
    }
  });
});

describe('a filter', () => {
  const values = [-7, 0, 1.5, 9, 10, 100000000, 9007199254740993n, '9', '10', '1e1', 'ten', '', null];

  test.each(['', 'BLOB', 'ANY'])('compares numbers as numbers and texts as texts: type "%s"', (type) => {
    using db = new DatabaseSync(':memory:');
    db.exec(`CREATE TABLE t (id INTEGER PRIMARY KEY, v ${type})${type === 'ANY' ? ' STRICT' : ''}`);
    for (const value of values) db.prepare('INSERT INTO t (v) VALUES (?)').run(value);
    const columns = [{ name: 'v', type }];
    for (const value of [
      '10',
      ' 10 ',
      '1e1',
      '1.5',
      '-7',
      '+9',
      '100000000',
      '9007199254740993',
      'ten',
      '',
    ]) {
      for (const operator of operators.slice(0, 4)) {
        const filter = filterOf(filterText({ column: 'v', operator, value }), columns)!;
        const view = { table: 't', filters: [filter], rowid: 'id' };
        const { sql, parameters } = statementOf(view);
        const read = (statement: string, given: typeof parameters = []): unknown[] => {
          const prepared = db.prepare(statement);
          prepared.setReadBigInts(true);
          return prepared.all(...given).map(({ v }) => (typeof v === 'bigint' ? Number(v) : v));
        };
        const isNumber = value !== '' && Number.isFinite(Number(value));
        const compare = (one: number | string, other: number | string): boolean =>
          ({ '=': one === other, '<>': one !== other, '<': one < other, '>': one > other })[
            operator as '=' | '<>' | '<' | '>'
          ];
        const wanted = values
          .filter((one) => {
            if (one === null) return false;
            if (typeof one === 'string') return compare(one, value);
            // Numbers come before texts.
            return isNumber ? compare(Number(one), Number(value)) : ['<', '<>'].includes(operator);
          })
          .map((one) => (typeof one === 'bigint' ? Number(one) : one));
        expect(read(sql, parameters), `${operator} ${value}`).toEqual(wanted);
        // What people copy finds the same.
        expect(read(statementOf(view, true).sql), `${operator} ${value}`).toEqual(wanted);
      }
    }
  });

  test('is read from the address, whatever the columns are called', () => {
    const columns = ['a', 'a|b', '|', 'a|=', ''].map((name) => ({ name, type: 'TEXT' }));
    for (const { name: column } of columns) {
      for (const operator of operators) {
        const filter: Filter = { column, operator, value: 'x|=|y', isUntyped: false };
        expect(filterOf(filterText(filter), columns)).toEqual(filter);
      }
    }
    expect(filterOf('b|=|1', columns)).toBeUndefined();
    expect(filterOf('a|is|1', columns)).toBeUndefined();
  });
});

describe.skipIf(chromiumPath === undefined)(
  `the data of the mirror in Chromium${chromiumPath === undefined ? ` (skipped: ${chromiumAbsent})` : ''}`,
  () => {
    let browser: Browser;
    let folder: string;
    let app: ChildProcess;
    let dataverse: SampleDataverse;
    let address: string;
    let printed = '';
    const opened: BrowserContext[] = [];

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'data-page-'));
      dataverse = await startSampleDataverse({ rows: 600 });
      const { store } = dataverse;
      store.create('account', { name: hostile, description: '=1+1' });
      const entities = [{ name: 'account', history: true }, 'contact', 'systemuser', 'team'];
      await writeFile(join(folder, 'entities.json'), JSON.stringify({ entities }));
      const { PATH, HOME } = process.env;
      const options = ['--dataverse', dataverse.url, '--entities', join(folder, 'entities.json')];
      app = spawn(
        process.execPath,
        [join(root, 'dist/local/start.js'), ...options, '--data', join(folder, 'data'), '--port', '0'],
        { cwd: folder, env: { PATH, HOME, DATAVERSE_ACCESS_TOKEN: 'any' } },
      );
      app.stdout!.on('data', (chunk) => (printed += chunk));
      app.stderr!.on('data', (chunk) => (printed += chunk));
      browser = await chromium.launch({ executablePath: chromiumPath! });
      while (!printed.includes('Press Ctrl-C')) {
        if (app.exitCode !== null) throw new Error(printed);
        await new Promise((done) => setTimeout(done, 50));
      }
      address = /^Pages +(\S+)$/m.exec(printed)![1]!.replace('/dashboard#', '/dashboard/data#');
    });

    afterEach(async () => {
      for (const context of opened.splice(0)) await context.close();
    });

    afterAll(async () => {
      await browser?.close();
      if (app?.exitCode === null) {
        app.kill('SIGTERM');
        await once(app, 'close');
      }
      await dataverse?.stop();
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    });

    /** Opens the page, and waits until it shows rows. */
    async function open(query = '') {
      const context = await browser.newContext({
        acceptDownloads: true,
        permissions: ['clipboard-read', 'clipboard-write'],
      });
      opened.push(context);
      const page = await context.newPage();
      const complaints: string[] = [];
      page.on('console', (message) => complaints.push(message.text()));
      page.on('pageerror', (error) => complaints.push(error.message));
      await page.goto(address.replace('#', `${query}#`));
      await page.locator('#data h2').first().waitFor();
      return { page, complaints };
    }

    /** What an independent SQLite reads from the file that the sync copied. */
    function expected(sql: string): unknown[][] {
      const db = new DatabaseSync(join(folder, 'data/dataverse.db'), { readOnly: true });
      const rows = db.prepare(sql).all();
      db.close();
      return rows.map((row) => Object.values(row));
    }

    const ask = async (page: Page, sql: string): Promise<void> => {
      const box = page.locator('#sql');
      if (!(await box.isVisible())) await page.getByText('Ask in SQL').click();
      await box.fill(sql);
      await page.getByRole('button', { name: 'Run' }).click();
    };

    const column = async (page: Page, name: string): Promise<string[]> => {
      const heads = await page.locator('table.data').first().locator('thead th').allTextContents();
      const at = heads.findIndex((head) => head.replace(/ [↑↓]$/, '') === name);
      const cells = page
        .locator('table.data')
        .first()
        .locator(`tbody td:nth-child(${at + 1})`);
      return cells.allTextContents();
    };
    /** Waits until the page shows these values in a column. */
    const expectColumn = async (page: Page, name: string, values: unknown[]) =>
      expect.poll(() => column(page, name), { timeout: 20_000 }).toEqual(values.map(String));

    test('shows rows page by page, sorted and filtered, as SQLite finds them', async () => {
      const { page, complaints } = await open('?table=contacts');
      const ids = expected('SELECT contactid FROM contacts ORDER BY rowid').map(([id]) => id);
      expect(ids.length).toBeGreaterThan(100);
      await expectColumn(page, 'contactid', ids.slice(0, 100));
      await page.getByRole('button', { name: 'Next' }).click();
      await expectColumn(page, 'contactid', ids.slice(100, 200));
      await page.getByRole('button', { name: 'Previous' }).click();
      await expectColumn(page, 'contactid', ids.slice(0, 100));

      // Twice: descending. Rows without a value, and with the same value, are in the order of their keys.
      const sort = page.getByRole('link', { name: 'jobtitle' });
      await sort.click();
      await page.getByRole('link', { name: 'jobtitle ↑' }).click();
      const sorted = expected('SELECT contactid FROM contacts ORDER BY jobtitle DESC, rowid DESC').map(
        ([id]) => id,
      );
      await expectColumn(page, 'contactid', sorted.slice(0, 100));
      await page.getByRole('button', { name: 'Next' }).click();
      await expectColumn(page, 'contactid', sorted.slice(100, 200));

      const form = page.locator('#data form');
      await form.getByLabel('Column').selectOption('lastname');
      await form.getByLabel('Comparison').selectOption('contains');
      await form.getByLabel('Value').fill('er');
      await page.keyboard.press('Enter');
      const filtered = expected(
        "SELECT contactid FROM contacts WHERE lastname LIKE '%er%' ORDER BY jobtitle DESC, rowid DESC LIMIT 100",
      ).map(([id]) => id);
      await expectColumn(page, 'contactid', filtered);
      // The address has it all: another tab shows the same.
      const { search } = new URL(page.url());
      const { page: other } = await open(search);
      await expectColumn(other, 'contactid', filtered);
      await page.getByRole('link', { name: 'Remove' }).click();
      await expectColumn(page, 'contactid', sorted.slice(0, 100));
      expect(complaints).toEqual([]);
    });

    test('opens a table by keyboard when it is meant, not while going through the list', async () => {
      const { page } = await open('?table=accounts');
      await page.locator('#table').focus();
      const url = page.url();
      await page.keyboard.press('ArrowDown');
      const chosen = await page.locator('#table').inputValue();
      expect(chosen).not.toBe('accounts');
      expect(page.url()).toBe(url);
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
      await page.locator('h2', { hasText: new RegExp(`^${chosen}$`) }).waitFor();
    });

    test('links to a row only by a column that names it alone', async () => {
      const { page } = await open('?table=accounts_history');
      await expectColumn(
        page,
        'accountid',
        expected('SELECT accountid FROM accounts_history ORDER BY rowid LIMIT 100').map(([id]) => id),
      );
      expect(await page.locator('td a[href*="row="][href*="accounts_history"]').count()).toBe(0);
    });

    test('leads from a row to the row that it refers to, and to those that refer to it', async () => {
      const [pair] = expected(
        "SELECT contactid, _parentcustomerid_value FROM contacts WHERE _parentcustomerid_type = 'account' ORDER BY 1 LIMIT 1",
      ) as [[string, string]];
      const { page } = await open(`?table=contacts&row=${pair[0]}`);
      await page.getByRole('link', { name: pair[1] }).click();
      await page.locator('h2', { hasText: `accounts ${pair[1]}` }).waitFor();
      expect(await page.locator('dl.row').textContent()).toMatch(/statecode0 Active/);
      await page.getByRole('link', { name: 'contacts by _parentcustomerid_value' }).click();
      const ids = expected(
        `SELECT contactid FROM contacts WHERE _parentcustomerid_value = '${pair[1]}' ORDER BY rowid`,
      );
      await expectColumn(
        page,
        'contactid',
        ids.map(([id]) => id),
      );
      await page.goBack();
      await page.getByRole('link', { name: 'Earlier versions of the row' }).click();
      await expectColumn(page, 'accountid', [pair[1]]);
    });

    test('answers SQL, completes names, and saves results', async () => {
      const { page, complaints } = await open();
      await page.getByText('Ask in SQL').click();
      const box = page.locator('#sql');
      await box.fill('SELECT count(*) AS n, max(telephone1) AS t FROM contacts WHERE acco');
      await box.fill('SELECT name FROM accounts WHERE desc');
      await page.getByRole('button', { name: 'description', exact: true }).waitFor();
      await page.keyboard.press('Control+ ');
      await expect.poll(() => box.inputValue()).toBe('SELECT name FROM accounts WHERE description');
      await box.fill(
        "SELECT name, description, 9007199254740993 AS big, NULL AS absent FROM accounts WHERE description = '=1+1'",
      );
      await page.keyboard.press('Control+Enter');
      await expect.poll(() => page.locator('#data').textContent(), { timeout: 8000 }).toContain('1 rows in');
      const [first] = await Promise.all([
        page.waitForEvent('download'),
        page.locator('details').getByRole('button', { name: 'JSON' }).click(),
      ]);
      expect(JSON.parse(await readFile(await first.path(), 'utf8'))).toEqual([
        { name: hostile, description: '=1+1', big: '9007199254740993', absent: null },
      ]);
      const [second] = await Promise.all([
        page.waitForEvent('download'),
        page.locator('details').getByRole('button', { name: 'CSV' }).click(),
      ]);
      expect(await readFile(await second.path(), 'utf8')).toBe(
        `name,description,big,absent\r\n"${hostile.replaceAll('"', '""')}",'=1+1,9007199254740993,\r\n`,
      );
      await box.fill(
        "SELECT 70707 AS marker, X'00ff' AS blob, '-12.50' AS decimal, ' =1' AS one, '\n=1' AS two; -- no more",
      );
      await page.keyboard.press('Control+Enter');
      await page.getByRole('cell', { name: '70707', exact: true }).waitFor();
      const [third] = await Promise.all([
        page.waitForEvent('download'),
        page.locator('details').getByRole('button', { name: 'CSV' }).click(),
      ]);
      expect(await readFile(await third.path(), 'utf8')).toBe(
        `marker,blob,decimal,one,two\r\n70707,X'00FF',-12.50,' =1,"'\n=1"\r\n`,
      );
      await box.fill('SELECT 1; SELECT 2');
      await page.getByRole('button', { name: 'Run' }).click();
      await page.getByRole('alert').getByText('Only one statement runs at a time').waitFor();
      await box.fill('SELECT * FROM no_such');
      await page.getByRole('button', { name: 'Run' }).click();
      await page.getByRole('alert').getByText('no such table: no_such').waitFor();
      await box.fill('DELETE FROM accounts');
      await page.getByRole('button', { name: 'Run' }).click();
      await expect.poll(() => page.getByRole('alert').textContent()).toMatch(/readonly/);
      // One that would never end.
      await box.fill('WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n');
      await page.getByRole('button', { name: 'Run' }).click();
      await page.getByRole('button', { name: 'Stop' }).click();
      await page.getByRole('alert').getByText('Stopped.').waitFor();
      await box.fill('SELECT 4242424 AS answer');
      await page.getByRole('button', { name: 'Run' }).click();
      await page.getByRole('cell', { name: '4242424', exact: true }).waitFor();
      expect(complaints).toEqual([]);
    });

    test('shows hostile values as text', async () => {
      const { page, complaints } = await open('?table=accounts&f=description%7C%3D%7C%3D1%2B1');
      await expectColumn(page, 'name', [hostile]);
      expect(await page.locator('#data img').count()).toBe(0);
      await page.getByRole('button', { name: 'Copy as SQL' }).click();
      await page.getByText('Copied.').waitFor();
      const copied = await page.evaluate<string>('navigator.clipboard.readText()');
      expect(copied).toBe(
        `SELECT * FROM "accounts"\nWHERE "description" = '=1+1'\nORDER BY rowid ASC\nLIMIT 100`,
      );
      expect(complaints).toEqual([]);
    });

    test('never mixes two states: a commit is announced, and the newer state is opened on request', async () => {
      const { page } = await open('?table=accounts');
      const { page: stopped } = await open('?table=accounts');
      await ask(page, 'SELECT 31313 AS earlier');
      await page.getByRole('cell', { name: '31313', exact: true }).waitFor();
      await ask(
        stopped,
        'WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n',
      );
      await stopped.getByRole('button', { name: 'Stop' }).click();
      await stopped.getByRole('alert').getByText('Stopped.').waitFor();
      const before = expected('SELECT count(*) FROM accounts')[0]![0] as number;
      dataverse.store.create('account', { name: 'a newer one' });
      const text = printed.length;
      const start = new URL(address.replace('/dashboard/data#key=', '/sync?code='));
      await fetch(start, { method: 'POST' });
      while (!printed.slice(text).includes('Sync complete'))
        await new Promise((done) => setTimeout(done, 100));
      // What no cache has: the whole of a table that was not read yet.
      await page.locator('#table').selectOption('contacts_labelled');
      const button = page.getByRole('button', { name: 'Show the newer state' });
      await button.waitFor();
      await button.click();
      await page.locator('h2', { hasText: 'contacts_labelled' }).waitFor();
      expect(await page.getByRole('cell', { name: '31313', exact: true }).count()).toBe(0);
      await page.locator('#table').selectOption('accounts');
      await page.getByText(`${(before + 1).toLocaleString('en-US')} rows`, { exact: true }).waitFor();

      // The thread that was stopped had the earlier state: the rows are still those.
      await ask(stopped, 'SELECT count(*) FROM accounts');
      await stopped.getByRole('button', { name: 'Show the newer state' }).waitFor();
      let saved = 0;
      stopped.on('download', () => saved++);
      await stopped.getByRole('button', { name: 'JSON' }).click();
      await stopped.getByRole('button', { name: 'Show the newer state' }).click();
      await stopped.getByText(`${(before + 1).toLocaleString('en-US')} rows`, { exact: true }).waitFor();
      expect(saved).toBe(0);
    });

    test('tries again after a failure, and with another key', async () => {
      const context = await browser.newContext();
      opened.push(context);
      const page = await context.newPage();
      let failures = 1;
      await context.route('**/api/database*', (route) =>
        failures-- > 0 ? route.fulfill({ status: 503 }) : route.continue(),
      );
      await page.goto(address.replace('#', '?table=accounts#'));
      await page.getByText('The app answered with status 503.').waitFor();
      await page.getByRole('button', { name: 'Try again' }).click();
      await page.locator('h2', { hasText: 'accounts' }).waitFor();
      await page.evaluate(
        (key) => Object.assign(globalThis, { location: `#key=${key}` }),
        address.split('#key=')[1],
      );
      await page.waitForEvent('load');
      await page.locator('h2', { hasText: 'accounts' }).waitFor();
      expect(page.url()).not.toContain('key');
    });
  },
);

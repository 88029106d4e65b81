import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { SavedFile } from '../../../src/browser/read/saved-file.ts';
import { rowidName } from '../../../src/browser/sql/dialects.ts';
import { type Filter, filterOf, filterText, operators } from '../../../src/browser/sql/filter.ts';
import { positionColumn, statementOf, type View } from '../../../src/browser/sql/page-statement.ts';
import { type SampleDataverse, startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import { noTimer } from '../../local/start-settings.ts';
import { chromiumAbsent, chromiumPath, launchChromium } from './chromium.ts';

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
        const filter: Filter = { column, operator, value: 'x|=|y', isUntyped: false, type: 'TEXT' };
        expect(filterOf(filterText(filter), columns)).toEqual(filter);
      }
    }
    expect(filterOf('b|=|1', columns)).toBeUndefined();
    expect(filterOf('a|is|1', columns)).toBeUndefined();
  });
});

describe('a saved file', () => {
  test('as CSV has nothing that a spreadsheet computes', async () => {
    const file = new SavedFile('csv', ['=a', 'b'], Infinity);
    for (const text of ['=1', '+1+1', '-1+2', '@a', ' =1', '\t=1', '＝1', '＋1', '－1', '＠a', ' ＝1'])
      file.add([text, null]);
    for (const value of ['-12.50', '+7', 'a=1', 'x;=1+1', 'a"b', 'a\nb', 'x\t=1', -1.5, 2n, -Infinity])
      file.add([value, 'é']);
    const text = Buffer.from(await file.end().arrayBuffer()).toString();
    const guarded = ['=1', '+1+1', '-1+2', '@a', ' =1', '"\t=1"', '＝1', '＋1', '－1', '＠a', ' ＝1'].map(
      (one) => (one.startsWith('"') ? `"'${one.slice(1)},` : `'${one},`),
    );
    const others = [
      '-12.50',
      '+7',
      'a=1',
      '"x;=1+1"',
      '"a""b"',
      '"a\nb"',
      '"x\t=1"',
      '-1.5',
      '2',
      '-Infinity',
    ];
    expect(text.split('\r\n')).toEqual(["\uFEFF'=a,b", ...guarded, ...others.map((one) => `${one},é`), '']);
  });

  test('as JSON has each value under a name of its own', async () => {
    const file = new SavedFile('json', ['a', 'a', 'a_2', 'a', '__proto__', '1'], Infinity);
    file.add([1, 2, 3, 4, Infinity, -Infinity]);
    file.add([9007199254740993n, null, 'x"', 0.5, '', -1]);
    const [first, second, ...others] = JSON.parse(await file.end().text()).map(Object.entries);
    expect(new Map(first)).toEqual(
      new Map<string, unknown>([
        ['a', 1],
        ['a_3', 2],
        ['a_2', 3],
        ['a_4', 4],
        ['__proto__', 'Infinity'],
        ['1', '-Infinity'],
      ]),
    );
    expect(new Map(second).get('a')).toBe('9007199254740993');
    expect(others).toEqual([]);
    expect(JSON.parse(await new SavedFile('json', ['a'], 1).end().text())).toEqual([]);
  });

  test.each(['csv', 'json'] as const)('ends with the row that fills it: %s', async (format) => {
    const file = new SavedFile(format, ['a'], 3_000_000);
    let rows = 1;
    while (file.add(['é'.repeat(10_000)])) rows += 1;
    expect(file.rows).toBe(rows);
    const blob = file.end();
    expect(blob.size).toBeGreaterThan(3_000_000);
    expect(blob.size).toBeLessThan(6_000_000);
    const text = await blob.text();
    expect(format === 'csv' ? text.split('\r\n').length - 2 : JSON.parse(text).length).toBe(rows);
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
        { cwd: folder, env: { PATH, HOME, ...noTimer, DATAVERSE_ACCESS_TOKEN: 'any' } },
      );
      app.stdout!.on('data', (chunk) => (printed += chunk));
      app.stderr!.on('data', (chunk) => (printed += chunk));
      browser = await launchChromium();
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

    /** What stands in the place of the mirror: `make` replaces it, as a commit does. */
    interface Served {
      make(sql: string): void;
      /** Gets each request for a part of the file. Nothing is answered before it has ended. */
      hold: () => Promise<unknown>;
      status: number;
    }

    /** Opens the page with a database that the test makes. */
    async function openOwn(
      sql: string,
      query = '',
      prepare?: (page: Page, served: Served) => Promise<unknown>,
    ) {
      const context = await browser.newContext({ acceptDownloads: true });
      opened.push(context);
      let bytes: Buffer;
      let states = 0;
      const served: Served = {
        make(text) {
          const path = join(folder, 'own.db');
          using db = new DatabaseSync(path);
          db.exec(text);
          bytes = readFileSync(path);
          states += 1;
        },
        hold: async () => {},
        status: 200,
      };
      await rm(join(folder, 'own.db'), { force: true });
      served.make(sql);
      await context.route('**/api/database*', async (route) => {
        const { range, 'if-match': match } = await route.request().allHeaders();
        if (range !== undefined) await served.hold();
        const etag = `"${states}"`;
        if (served.status !== 200) return route.fulfill({ status: served.status }).catch(() => {});
        if (range === undefined)
          return route.fulfill({ headers: { etag, 'content-length': String(bytes.length) } });
        if (match !== etag) return route.fulfill({ status: 412 }).catch(() => {});
        const [from, to] = /(\d+)-(\d+)/.exec(range)!.slice(1).map(Number) as [number, number];
        // Nobody waits for it once its thread has ended.
        await route.fulfill({ status: 206, body: bytes.subarray(from, to + 1) }).catch(() => {});
      });
      const page = await context.newPage();
      await prepare?.(page, served);
      await page.goto(address.replace('#', `${query}#`));
      return { page, served };
    }

    const rowsOf = (name: string, count: number, text = "'x' || n"): string =>
      `CREATE TABLE ${name} (id TEXT PRIMARY KEY, t TEXT);
       WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ${count})
       INSERT INTO ${name} SELECT printf('%05d', n), ${text} FROM c;`;
    const expectedIds = (count: number): string[] =>
      Array.from({ length: count }, (_, n) => String(n + 1).padStart(5, '0'));
    const status = (page: Page) => page.locator('#data .reading [role=status]');
    const isFocused = (locator: ReturnType<Page['locator']>): Promise<boolean> =>
      locator.evaluate((one: { matches(selector: string): boolean }) => one.matches(':focus'));

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
      expect.poll(() => column(page, name)).toEqual(values.map(String));

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
      await expect.poll(() => page.locator('#data').textContent()).toContain('1 rows in');
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
        `\uFEFFname,description,big,absent\r\n"${hostile.replaceAll('"', '""')}",'=1+1,9007199254740993,\r\n`,
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
        `\uFEFFmarker,blob,decimal,one,two\r\n70707,X'00FF',-12.50,' =1,"'\n=1"\r\n`,
      );
      // Alone, comments are nothing.
      for (const second of ['SELECT 2', '/* x */ SELECT 2 /* y */', '-- x\n;SELECT 2', '/* * /']) {
        await box.fill(`SELECT 5151515 AS one; ${second}`);
        await page.getByRole('button', { name: 'Run' }).click();
        if (second === '/* * /') await page.getByRole('cell', { name: '5151515', exact: true }).waitFor();
        else await page.getByRole('alert').getByText('Only one statement runs at a time').waitFor();
        await page.evaluate("document.querySelector('#data [role=alert]')?.remove()");
      }
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

    test('turns one page at a time, however fast its buttons are pressed', async () => {
      const { page } = await openOwn(rowsOf('a', 350));
      const numbers = (from: number): string[] => expectedIds(350).slice(from, from + 100);
      const press = (...names: string[]): Promise<unknown> =>
        page.evaluate(
          `{ const all = [...document.querySelectorAll('#data button')];
             for (const name of ${JSON.stringify(names)}) all.find((one) => one.textContent === name).click(); }`,
        );
      await expectColumn(page, 'id', numbers(0));
      await press('Next', 'Next', 'Next');
      await page.getByText('Rows 101 to 200').waitFor();
      await expectColumn(page, 'id', numbers(100));
      await press('Next', 'Previous', 'Next');
      await page.getByText('Rows 201 to 300').waitFor();
      await expectColumn(page, 'id', numbers(200));
      await press('Previous', 'Previous', 'Next');
      await page.getByText('Rows 101 to 200').waitFor();
      await expectColumn(page, 'id', numbers(100));
    });

    test('leads by whole values, and filters columns of any name and of no type', async () => {
      const key = 'k'.repeat(300);
      const { page } = await openOwn(
        `CREATE TABLE a (id TEXT PRIMARY KEY, "b|c" TEXT, b TEXT, other TEXT);
         CREATE TABLE _sync_foreign_keys (table_name TEXT, column_name TEXT, target_table TEXT);
         INSERT INTO _sync_foreign_keys VALUES ('a', 'other', 'a');
         INSERT INTO a VALUES ('${key}1', 'x', 'y', '${key}2'), ('${key}2', 'y', 'x', '${key}1');
         CREATE VIEW v AS SELECT a.id AS id, value FROM a, json_each('[100000000, 5, "5"]')`,
        `?table=a&f=${encodeURIComponent('b|c|=|x')}&f=${encodeURIComponent('gone|=|1')}`,
      );
      await expectColumn(page, 'b', ['y']);
      await page.getByText('Not filtered by gone|=|1').waitFor();
      await page.locator('tbody td:nth-child(4) a').click();
      await page.locator('h2', { hasText: `a ${key}2` }).waitFor();
      await page.locator('dl a').last().click();
      await page.locator('h2', { hasText: `a ${key}1` }).waitFor();
      await page.getByRole('link', { name: 'All rows of a' }).click();
      await page.locator('#table').selectOption('v');
      await page.locator('h2', { hasText: /^v$/ }).waitFor();
      const form = page.locator('#data form');
      await form.getByLabel('Column').selectOption('value');
      await form.getByLabel('Value').fill('100000000');
      await page.keyboard.press('Enter');
      await expectColumn(page, 'value', [100000000, 100000000]);
    });

    test('stops whatever runs, and ends what is outdated', async () => {
      const { page, served } = await openOwn(
        rowsOf('a', 150) +
          rowsOf('b', 3000, 'hex(zeroblob(500)) || n') +
          rowsOf('c', 3000, 'hex(zeroblob(500))'),
      );
      await expectColumn(page, 'id', expectedIds(100));
      const stop = page.getByRole('button', { name: 'Stop' });
      await expect.poll(() => stop.getAttribute('aria-disabled')).toBe('true');
      let held = 0;
      const never = () => new Promise(() => (held += 1));
      const atOnce = async (): Promise<void> => {};
      served.hold = never;
      await page.locator('#table').selectOption('b');
      await expect.poll(() => held).toBe(1);
      await stop.focus();
      await page.keyboard.press('Enter');
      await status(page).getByText('Stopped.').waitFor();
      expect(await isFocused(stop)).toBe(true);
      // The rows that are still shown can be turned.
      served.hold = atOnce;
      await page.getByRole('button', { name: 'Next' }).click();
      await page.getByText('Rows 101 to 150').waitFor();
      served.hold = never;
      await page.locator('#table').selectOption('c');
      await expect.poll(() => held).toBe(2);
      served.hold = atOnce;
      await page.locator('#table').selectOption('b');
      await page.locator('h2', { hasText: /^b$/ }).waitFor();
      await status(page).getByText('Read ').waitFor();
      expect(page.workers()).toHaveLength(1);
      // A file that is being read for saving.
      served.hold = never;
      await page.getByRole('button', { name: 'CSV' }).click();
      await expect.poll(() => held).toBe(3);
      await stop.click();
      await status(page).getByText('Stopped.').waitFor();
    });

    test('offers a newer state once, and keeps the earlier one if that cannot be opened', async () => {
      const { page, served } = await openOwn(rowsOf('a', 10), '', (page) => page.clock.install());
      await expectColumn(page, 'id', expectedIds(10));
      served.make(rowsOf('b', 20));
      await page.clock.runFor(30_000);
      const offer = page.getByRole('button', { name: 'Show the newer state' });
      await offer.focus();
      await page.evaluate(
        `globalThis.said = 0;
         new MutationObserver(() => said++).observe(document.querySelector('#data p:has(button)'), { childList: true });`,
      );
      const look = page.waitForRequest(/api\/database/, { timeout: 500 }).catch(() => undefined);
      await page.clock.runFor(60_000);
      await look;
      await page
        .getByRole('button', { name: 'Copy as SQL' })
        .evaluate((one: { click(): void }) => one.click());
      await status(page)
        .getByText(/Copied|SQL box/)
        .waitFor();
      expect(await isFocused(offer)).toBe(true);
      expect(await page.evaluate('said')).toBe(0);

      // The file opens, and what it has cannot be read.
      served.hold = async () => (served.status = 503);
      await page.keyboard.press('Enter');
      await status(page).getByText('The app answered with status 503.').waitFor();
      expect(await isFocused(offer)).toBe(true);
      served.hold = async () => {};
      served.status = 200;
      await page.getByRole('link', { name: 'id', exact: true }).click();
      await expect.poll(() => status(page).textContent()).toBe('');
      await expectColumn(page, 'id', expectedIds(10));
      await offer.click();
      await page.locator('#table option', { hasText: 'b' }).waitFor({ state: 'attached' });
      expect(await offer.count()).toBe(0);
      // The thread of the earlier state has ended with what it kept.
      await expect.poll(() => page.workers().length).toBe(1);
    });

    test('shows no rows of the earlier state beside a newer one that was opened, and ends a view with one Stop', async () => {
      const references = `CREATE TABLE _sync_foreign_keys (table_name, column_name, target_table);
        INSERT INTO _sync_foreign_keys VALUES ('a', 't', 'b'), ('a', 't', 'c'), ('a', 'u', 'b'), ('a', 'u', 'c');`;
      const { page, served } = await openOwn(
        `${rowsOf('a', 10)} ALTER TABLE a ADD COLUMN u TEXT DEFAULT 'x2'; ${references}
         ${rowsOf('b', 4000, 'hex(zeroblob(400)) || n')} ${rowsOf('c', 4000, 'hex(zeroblob(400)) || n')}`,
        '',
        (page) => page.clock.install(),
      );
      await expectColumn(page, 'id', expectedIds(10));
      const [stop, again] = ['Stop', 'Try again'].map((name) => page.getByRole('button', { name }));
      const atOnce = async (): Promise<void> => {};
      const never = () => new Promise(() => {});
      // The rows that a row refers to are looked for in two tables for each of two columns.
      served.hold = never;
      await page.getByRole('link', { name: '00001' }).click();
      await expect.poll(() => stop!.getAttribute('aria-disabled')).toBe('false');
      await stop!.click();
      await again!.waitFor();
      await expect.poll(() => stop!.getAttribute('aria-disabled')).toBe('true');
      served.hold = atOnce;
      await again!.click();
      await page.locator('h2', { hasText: 'a 00001' }).waitFor();

      served.make('CREATE TABLE more (x);');
      await page.clock.runFor(30_000);
      // It opens, its catalog is read, and then the row cannot be.
      served.hold = async () => {
        if ((await status(page).textContent()) === 'Reading …') served.status = 503;
      };
      await page.getByRole('button', { name: 'Show the newer state' }).click();
      await status(page).getByText('status 503').waitFor();
      served.hold = atOnce;
      served.status = 200;
      expect(await page.locator('#data h2').count()).toBe(0);
      expect(await page.getByRole('button', { name: 'Show the newer state' }).count()).toBe(0);
      expect(await isFocused(again!)).toBe(true);
      await page.keyboard.press('Enter');
      await page.locator('h2', { hasText: 'a 00001' }).waitFor();
    });

    test('opens the newest state at once where a sync commits before anything is shown', async () => {
      const offer = (page: Page) => page.getByRole('button', { name: 'Show the newer state' });
      const box = (page: Page) => page.locator('#sql');
      let commits = 0;
      /** Commits so many states while the page reads rows, each after the caret was put into the box for SQL. */
      const openBeside = (states: number, more?: (page: Page) => Promise<unknown>) =>
        openOwn(rowsOf('a', 90, 'hex(zeroblob(500)) || n'), '?sql=SELECT+1', async (page, served) => {
          commits = 0;
          served.hold = async () => {
            if (commits >= states || (await status(page).textContent()) !== 'Reading …') return;
            await box(page).focus();
            await more?.(page);
            commits += 1;
            served.make(`INSERT INTO a VALUES ('${expectedIds(90 + commits).at(-1)}', 'x')`);
          };
        });
      const { page } = await openBeside(3);
      await expectColumn(page, 'id', expectedIds(93));
      expect(await offer(page).count()).toBe(0);
      expect(await isFocused(box(page))).toBe(true);

      // It does not go on for ever, and goes on when it is told to.
      const { page: another } = await openBeside(100);
      await offer(another).waitFor();
      expect(commits).toBe(5);
      expect(await another.locator('#data h2').count()).toBe(0);
      commits = 100;
      await offer(another).click();
      await expectColumn(another, 'id', expectedIds(95));

      // Who waits for a result keeps what was asked.
      const { page: asking } = await openBeside(1, async (page) => {
        await page.getByRole('button', { name: 'Run' }).evaluate((one: { click(): void }) => one.click());
        await status(page).getByText('Running …').waitFor();
      });
      await offer(asking).waitFor();
    });

    test('notices the first sync', async () => {
      const { page, served } = await openOwn(rowsOf('a', 10), '', async (page, served) => {
        await page.clock.install();
        served.status = 404;
      });
      await page.getByText('There is no database before the first sync.').waitFor();
      await page.clock.runFor(30_000);
      await page.getByText('There is no database before the first sync.').waitFor();
      served.status = 200;
      await page.clock.runFor(30_000);
      await expectColumn(page, 'id', expectedIds(10));
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

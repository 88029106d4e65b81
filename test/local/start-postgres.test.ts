import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import { chromiumAbsent, chromiumPath, launchChromium } from '../http/dashboard/chromium.ts';
import { withClient } from '../postgres.ts';
import { removeServer } from './server-folder.ts';
import { noTimer } from './start-settings.ts';

const root = resolve(import.meta.dirname, '../..');
const hostile = `<img src=x onerror=alert(1)>"',|`;

let folder: string;
let dataverse: SampleDataverse;
let app: ChildProcess;
let printed = '';
/** Of the pages and of the database, as they are printed. */
let pages: string;
let database: string;
let key: string;

async function startApp(): Promise<void> {
  const { PATH, HOME } = process.env;
  const options = ['--dataverse', dataverse.url, '--entities', join(folder, 'entities.json')];
  const places = ['--data', join(folder, 'data'), '--port', '0'];
  printed = '';
  app = spawn(
    process.execPath,
    [join(root, 'dist/local/start.js'), '--target', 'postgres', ...options, ...places],
    { cwd: folder, env: { PATH, HOME, ...noTimer, DATAVERSE_ACCESS_TOKEN: 'any' } },
  );
  app.stdout!.on('data', (chunk) => (printed += chunk));
  app.stderr!.on('data', (chunk) => (printed += chunk));
  while (!printed.includes('Press Ctrl-C')) {
    if (app.exitCode !== null) throw new Error(printed);
    await new Promise((done) => setTimeout(done, 50));
  }
  pages = /^Pages +(\S+)$/m.exec(printed)![1]!;
  key = pages.split('key=')[1]!;
  database = /^Open it +psql '(.*)'$/m.exec(printed)![1]!;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'start-postgres-'));
  dataverse = await startSampleDataverse({ rows: 600 });
  dataverse.store.create('account', { name: hostile, description: '=1+1' });
  const entities = [{ name: 'account', history: true }, 'contact', 'systemuser', 'team'];
  await writeFile(join(folder, 'entities.json'), JSON.stringify({ entities }));
  await startApp();
});

afterAll(async () => {
  if (app?.exitCode === null && app.signalCode === null) {
    app.kill('SIGTERM');
    await once(app, 'close');
  }
  await dataverse?.stop();
  await removeServer(join(folder, 'data'));
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

/** What any client of PostgreSQL reads there, in the form of the page. */
async function expected(sql: string): Promise<unknown[][]> {
  return withClient(database, async (client) => (await client.query({ text: sql, rowMode: 'array' })).rows);
}

const request = (path: string, init: RequestInit = {}) =>
  fetch(`${new URL(pages).origin}/api/${path}`, {
    ...init,
    headers: { 'x-functions-key': key, ...(init.headers as object) },
  });

const query = (sql: string, headers: Record<string, string> = {}) =>
  request('query', {
    method: 'POST',
    body: JSON.stringify({ sql }),
    headers: { 'content-type': 'application/json', ...headers },
  });

describe('npm start on PostgreSQL', () => {
  test('mirrors all rows, and prints where they are', async () => {
    expect(printed).toMatch(
      /^Database {3}PostgreSQL at 127\.0\.0\.1:\d+, database dataverse, schema dataverse$/m,
    );
    expect(printed).not.toMatch(/database blocks? written/);
    const [[accounts]] = (await expected('SELECT count(*)::int FROM accounts')) as [[number]];
    expect(accounts).toBe(dataverse.store.count('account'));
    // The printed user can only read.
    await expect(expected('DELETE FROM accounts')).rejects.toThrow(/permission denied/);
  });

  test('shows every page', async () => {
    for (const page of [
      '',
      '/runs',
      '/tables',
      '/tables/account',
      '/schema',
      '/quality',
      '/metrics',
      '/data',
    ]) {
      const response = await request(`pages${page}`);
      expect(response.status, page).toBe(200);
    }
    expect(await (await request('pages/tables/account')).text()).toMatch(/table accounts was created/);
    expect(await (await request('health')).json()).toMatchObject({ status: 'healthy' });
  });

  test('answers queries, and says where the file is not', async () => {
    const response = await query('SELECT name FROM accounts ORDER BY name LIMIT 1');
    const etag = response.headers.get('etag')!;
    expect(await response.json()).toMatchObject({ columns: ['name'], isCut: false });
    expect((await query('SELECT 1', { 'if-match': etag })).status).toBe(200);
    expect((await query('SELECT 1', { 'if-match': '"other"' })).status).toBe(412);
    expect((await request('query', { method: 'HEAD' })).headers.get('etag')).toBe(etag);
    for (const [body, detail] of [
      ['{"sql":""}', /sql/],
      ['{', /not JSON/],
      ['{"sql":"SELECT 1","limit":1}', /not a query/],
      ['{"sql":"SELEC 1"}', /syntax error/],
    ] as const) {
      const refused = await request('query', {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json' },
      });
      expect(refused.status).toBe(400);
      expect(await refused.json()).toMatchObject({ detail: expect.stringMatching(detail) });
    }
    expect((await fetch(`${new URL(pages).origin}/api/query`)).status).toBe(401);
    const file = await request('database');
    expect(file.status).toBe(404);
    expect(await file.json()).toMatchObject({ detail: expect.stringContaining('PostgreSQL') });
    const log = await readFile(join(folder, 'data/functions.log'), 'utf8');
    const secrets = JSON.parse(await readFile(join(folder, 'data/local.json'), 'utf8')).postgres.passwords;
    for (const secret of Object.values(secrets)) expect(log).not.toContain(secret);
  });

  test('goes on after it was killed, with what it had', async () => {
    const before = database;
    app.kill('SIGKILL');
    await once(app, 'close');
    dataverse.store.create('account', { name: 'After the kill' });
    await startApp();
    expect(database).toBe(before);
    expect(printed).toMatch(/1 row added/);
    expect(await expected("SELECT count(*)::int FROM accounts WHERE name = 'After the kill'")).toEqual([[1]]);
  });
});

describe.skipIf(chromiumPath === undefined)(
  `the data of a mirror in PostgreSQL in Chromium${chromiumPath === undefined ? ` (skipped: ${chromiumAbsent})` : ''}`,
  () => {
    let browser: Browser;
    const opened: BrowserContext[] = [];

    beforeAll(async () => {
      browser = await launchChromium();
    });
    afterEach(async () => {
      for (const context of opened.splice(0)) await context.close();
    });
    afterAll(async () => browser?.close());

    async function open(
      search = '',
      prepare?: (page: Page) => Promise<unknown>,
    ): Promise<{ page: Page; complaints: string[] }> {
      const context = await browser.newContext({ acceptDownloads: true });
      opened.push(context);
      const page = await context.newPage();
      await prepare?.(page);
      const complaints: string[] = [];
      page.on('console', (message) => complaints.push(message.text()));
      page.on('pageerror', (error) => complaints.push(error.message));
      await page.goto(pages.replace('/dashboard#', `/dashboard/data${search}#`));
      await page.locator('#data h2').first().waitFor();
      return { page, complaints };
    }

    const cells = (page: Page, column: number) =>
      page.locator(`#data table tbody tr td:nth-child(${column})`).allInnerTexts();

    test('pages through a table in every row once', async () => {
      const ids = (await expected('SELECT contactid::text FROM contacts ORDER BY contactid')).flat();
      const { page, complaints } = await open('?table=contacts');
      const found: string[] = [];
      const columns = await page.locator('#data thead th').allInnerTexts();
      const place = columns.findIndex((name) => name.startsWith('contactid')) + 1;
      for (let turn = 0; turn < 5; turn++) {
        found.push(...(await cells(page, place)));
        const next = page.getByRole('button', { name: 'Next' });
        if (await next.isDisabled()) break;
        const caption = await page.locator('#data caption').textContent();
        await next.click();
        await expect.poll(() => page.locator('#data caption').textContent()).not.toBe(caption);
      }
      expect(found).toEqual(ids);
      expect(complaints).toEqual([]);
    });

    test('sorts with NULL first, and filters by type', async () => {
      const sorted = await open('?table=accounts&sort=revenue&f=name|is not empty|');
      const columns = await sorted.page.locator('#data thead th').allInnerTexts();
      const place = columns.findIndex((name) => name.startsWith('revenue')) + 1;
      const first = await expected(
        'SELECT coalesce(revenue::text, $$NULL$$) FROM accounts WHERE name <> $$$$ ORDER BY revenue ASC NULLS FIRST, accountid LIMIT 100',
      );
      expect(await cells(sorted.page, place)).toEqual(first.flat());
      const [[amount]] = (await expected('SELECT max(revenue)::text FROM accounts')) as [[string]];
      const { page } = await open(`?table=accounts&f=revenue|=|${amount}`);
      expect(await cells(page, place)).toEqual([amount]);
      const wrong = await open('?table=accounts&f=name|contains|ONERROR');
      expect(await wrong.page.locator('#data tbody tr').count()).toBe(1);
    });

    test('shows a row, its references and its hostile text as text', async () => {
      const [[id]] = (await expected(`SELECT accountid::text FROM accounts WHERE description = '=1+1'`)) as [
        [string],
      ];
      const { page, complaints } = await open(`?table=accounts&row=${id}`);
      expect(await page.locator('#data dl').textContent()).toContain(hostile);
      await page
        .getByRole('link', { name: /^contacts by / })
        .first()
        .waitFor();
      expect(complaints).toEqual([]);
    });

    test('shows the newest state where a sync commits while the page opens', async () => {
      const commit = async (name: string): Promise<void> => {
        dataverse.store.create('team', { name });
        // The run before may still be putting its things away.
        await expect.poll(async () => (await request('sync', { method: 'POST' })).status).toBe(202);
        await expect
          .poll(async () => (await expected(`SELECT count(*)::int FROM teams WHERE name = '${name}'`))[0])
          .toEqual([1]);
      };
      const left = new Map([
        ['FROM _sync_state', 'Beside the catalog'],
        ['ILIKE', 'Beside the rows'],
      ]);
      const { page } = await open('?table=teams&f=name|contains|Beside', (page) =>
        page.route('**/api/query', async (route) => {
          const sql = route.request().postData() ?? '';
          for (const [part, name] of left) {
            if (!sql.includes(part)) continue;
            left.delete(part);
            await commit(name);
          }
          await route.continue();
        }),
      );
      expect(left.size).toBe(0);
      expect(await page.locator('#data tbody tr').count()).toBe(2);
      expect(await page.getByRole('button', { name: 'Show the newer state' }).count()).toBe(0);
    });

    test('runs SQL, explains a mistake, and saves the result', async () => {
      const { page } = await open();
      await page.getByText('Ask in SQL').click();
      const ask = async (sql: string) => {
        await page.locator('#sql').fill(sql);
        await page.getByRole('button', { name: 'Run' }).click();
      };
      await ask('SELECT name FROM account');
      await page.getByText('relation "account" does not exist').waitFor();
      await ask("SELECT description, 'ü' AS u FROM accounts WHERE description = '=1+1'");
      // The rows below have such a button, too.
      await page.locator('caption').filter({ hasText: '1 rows in' }).waitFor();
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('button', { name: 'CSV' }).first().click(),
      ]);
      expect(await readFile(await download.path(), 'utf8')).toBe("\uFEFFdescription,u\r\n'=1+1,ü\r\n");
    });

    test('offers the state of the next sync', async () => {
      const { page } = await open('?table=teams');
      dataverse.store.create('team', { name: 'A new team' });
      await request('sync', { method: 'POST' });
      await expect
        .poll(async () => (await expected("SELECT count(*)::int FROM teams WHERE name = 'A new team'"))[0])
        .toEqual([1]);
      await page.getByRole('link', { name: /^name/ }).first().click();
      await page.getByRole('button', { name: 'Show the newer state' }).click();
      await expect.poll(() => page.locator('#data').textContent()).toContain('A new team');
    });
  },
);

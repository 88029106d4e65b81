import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chromiumAbsent, chromiumPath, launchChromium } from '../http/dashboard/chromium.ts';
import { withClient } from '../postgres.ts';
import { removeServer } from './server-folder.ts';
import { noTimer } from './start-settings.ts';

const root = resolve(import.meta.dirname, '../..');

/** @param data its data folder */
function start(data: string, ...options: string[]): ChildProcess {
  const { PATH, HOME } = process.env;
  const files = ['--entities', join(folder, 'entities.json'), '--data', join(folder, data)];
  const args = ['--rows', '300', '--port', '0', ...files, ...options];
  return spawn(process.execPath, [join(root, 'dist/local/start.js'), ...args], {
    cwd: folder,
    env: { PATH, HOME, ...noTimer },
  });
}

/** Runs one sync of each environment. @returns what is printed */
async function startOnce(data: string, environments: string, ...more: string[]): Promise<string> {
  const child = start(data, '--once', '--environments', environments, ...more);
  let text = '';
  child.stdout!.on('data', (chunk) => (text += chunk));
  child.stderr!.on('data', (chunk) => (text += chunk));
  const [code] = await once(child, 'close');
  expect([text, code]).toEqual([text, 0]);
  return text;
}

let folder: string;
let app: ChildProcess;
let printed = '';
/** The printed addresses of the pages and of the databases: default, sales, sales-eu. */
let pages: string[];
let databases: string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'start-environments-'));
  await writeFile(join(folder, 'entities.json'), '["account", "contact"]');
  app = start('data', '--target', 'postgres', '--environments', 'sales,sales-eu');
  app.stdout!.on('data', (chunk) => (printed += chunk));
  app.stderr!.on('data', (chunk) => (printed += chunk));
  while (!printed.includes('Press Ctrl-C')) {
    if (app.exitCode !== null) throw new Error(printed);
    await new Promise((done) => setTimeout(done, 50));
  }
  pages = [...printed.matchAll(/^Pages +(\S+)/gm)].map(([, address]) => address!);
  databases = [...printed.matchAll(/^Open it +psql '(.*)'$/gm)].map(([, address]) => address!);
});

afterAll(async () => {
  if (app?.exitCode === null && app.signalCode === null) {
    app.kill('SIGTERM');
    await once(app, 'close');
  }
  await removeServer(join(folder, 'data'));
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

test('syncs each environment into a schema of its own, and prints where it is', async () => {
  expect(pages.map((address) => new URL(address).pathname)).toEqual([
    '/api/dashboard',
    '/api/environments/sales/dashboard',
    '/api/environments/sales-eu/dashboard',
  ]);
  expect(databases.map((address) => new URL(address).searchParams.get('options'))).toEqual([
    ...['-csearch_path=dataverse', '-csearch_path=dataverse_sales', '-csearch_path=dataverse_sales_eu'],
  ]);
  expect(printed.match(/^Sync complete .*: 2 tables/gm)).toHaveLength(3);
  expect(printed.match(/^account: \d+ rows/gm)).toHaveLength(3);
  const ids = databases.map((address) =>
    withClient(address, async (client) => (await client.query('SELECT accountid FROM accounts')).rows),
  );
  // Other seeds, other rows.
  const [first, second, third] = await Promise.all(ids);
  expect(new Set([...first!, ...second!, ...third!].map((row) => row.accountid)).size).toBe(
    first!.length + second!.length + third!.length,
  );
});

test('an environment has its rows and a folder, whatever it and the others are called', async () => {
  // Names of a file in the data folder, and of what every object has.
  const first = await startOnce('files', 'lock,constructor');
  expect(first.match(/^Database .*/gm)).toEqual(
    ['', 'environments/lock/', 'environments/constructor/'].map((place) =>
      expect.stringContaining(join(folder, 'files', place, 'dataverse.db')),
    ),
  );
  const second = await startOnce('files', 'constructor', '--reread', 'all');
  expect(second.match(/^ +0 rows added, 0 updated, 0 deleted, [1-9]\d* unchanged/gm)).toHaveLength(2);
});

describe.skipIf(chromiumPath === undefined)(
  `in Chromium${chromiumPath === undefined ? ` (skipped: ${chromiumAbsent})` : ''}`,
  () => {
    let browser: Browser;
    beforeAll(async () => {
      browser = await launchChromium();
    });
    afterAll(() => browser?.close());

    test('pages lead from one environment to another, which stays as a reader moves on', async () => {
      const page = await browser.newPage();
      const complaints: string[] = [];
      page.on('console', (message) => complaints.push(message.text()));
      page.on('pageerror', (error) => complaints.push(error.message));
      await page.goto(pages[0]!);
      const environments = page.getByRole('navigation', { name: 'Environments' });
      await environments.locator('a[aria-current]', { hasText: 'default' }).waitFor();
      await environments.getByRole('link', { name: 'sales-eu' }).click();
      await environments.locator('a[aria-current]', { hasText: 'sales-eu' }).waitFor();
      const links = page.getByRole('navigation', { name: 'Pages' });
      await links.getByRole('link', { name: 'Tables' }).click();
      await page.getByRole('heading', { level: 1, name: 'Tables' }).waitFor();
      expect(new URL(page.url()).pathname).toBe('/api/environments/sales-eu/dashboard/tables');
      await links.getByRole('link', { name: 'Data' }).click();
      await page.locator('#data h2').first().waitFor();
      expect(await page.locator('#data').getAttribute('data-queries')).toBe(
        '/api/environments/sales-eu/query',
      );
      await environments.getByRole('link', { name: 'default' }).click();
      await environments.locator('a[aria-current]', { hasText: 'default' }).waitFor();
      expect(new URL(page.url()).pathname).toBe('/api/dashboard/overview');
      expect(complaints).toEqual([]);
    });
  },
);

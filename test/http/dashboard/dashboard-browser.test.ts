import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { problemPage } from '../../../src/http/pages/problem-page.ts';
import { Problem } from '../../../src/http/problem.ts';
import { type SampleDataverse, startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import { noTimer } from '../../local/start-settings.ts';
import { chromiumAbsent, chromiumPath, launchChromium } from './chromium.ts';

const root = resolve(import.meta.dirname, '../../..');
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

interface Focusable {
  matches(selector: string): boolean;
}

interface Looked {
  page: Page;
  context: BrowserContext;
  /** What the browser complained of, and addresses of requests. */
  complaints: string[];
  requests: { url: string; referer: string | undefined; bytes: number }[];
}

describe.skipIf(chromiumPath === undefined)(
  `the dashboard in Chromium${chromiumPath === undefined ? ` (skipped: ${chromiumAbsent})` : ''}`,
  () => {
    let browser: Browser;
    let folder: string;
    let app: ChildProcess;
    let dataverse: SampleDataverse;
    let address: string;
    let key: string;
    let printed = '';
    const opened: BrowserContext[] = [];

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'dashboard-'));
      dataverse = await startSampleDataverse({ rows: 300 });
      dataverse.store.deniedPrivileges.add('prvReadlead');
      const entities = ['account', 'contact', 'lead', 'systemuser', 'new_ledgerentry'];
      await writeFile(join(folder, 'entities.json'), JSON.stringify({ entities }));
      const { PATH, HOME } = process.env;
      app = spawn(
        process.execPath,
        [
          join(root, 'dist/local/start.js'),
          ...['--dataverse', dataverse.url, '--entities', join(folder, 'entities.json')],
          ...['--data', join(folder, 'data'), '--port', '0'],
        ],
        { cwd: folder, env: { PATH, HOME, ...noTimer, DATAVERSE_ACCESS_TOKEN: 'any' } },
      );
      app.stdout!.on('data', (chunk) => (printed += chunk));
      app.stderr!.on('data', (chunk) => (printed += chunk));
      browser = await launchChromium();
      while (!printed.includes('Press Ctrl-C')) {
        if (app.exitCode !== null) throw new Error(printed);
        await new Promise((done) => setTimeout(done, 50));
      }
      address = /^Pages +(\S+)$/m.exec(printed)![1]!;
      key = address.split('#key=')[1]!;
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

    async function look(options: Parameters<Browser['newContext']>[0] = {}): Promise<Looked> {
      const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, ...options });
      opened.push(context);
      const page = await context.newPage();
      const complaints: string[] = [];
      const requests: Looked['requests'] = [];
      page.on('console', (message) => complaints.push(message.text()));
      page.on('pageerror', (error) => complaints.push(error.message));
      page.on('response', async (response) => {
        const request = response.request();
        const { referer } = await request.allHeaders().catch(() => ({}) as Record<string, string>);
        const sizes = await request.sizes().catch(() => undefined);
        requests.push({ url: request.url(), referer, bytes: sizes?.responseBodySize ?? 0 });
      });
      return { page, context, complaints, requests };
    }

    const heading = (page: Page) => page.locator('h1');
    const open = (page: Page, name: string) =>
      page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name, exact: true }).click();

    test('opens by the printed address, and the key is in no address that is sent', async () => {
      const { page, complaints, requests } = await look();
      await page.goto(address);
      await heading(page).getByText('One table needs attention').waitFor();
      // To a table that failed, and why, in two clicks.
      await open(page, 'Tables');
      await page.getByRole('link', { name: 'lead', exact: true }).click();
      await heading(page).getByText('lead', { exact: true }).waitFor();
      expect(await page.locator('.fault').textContent()).toMatch(/prvReadlead/i);
      await page.goBack();
      await heading(page).getByText('Tables').waitFor();
      for (const name of ['Syncs', 'Schema', 'Quality', 'Overview']) {
        await open(page, name);
        await page.locator('nav a[aria-current=page]', { hasText: name }).waitFor();
      }
      expect(page.url()).not.toContain(key);
      // A reload keeps the page and the key.
      await page.reload();
      await heading(page).getByText('One table needs attention').waitFor();
      expect(complaints).toEqual([]);
      expect(requests.length).toBeGreaterThan(8);
      for (const { url, referer = '' } of requests) expect(`${url} ${referer}`).not.toContain(key);
      expect(new Set(requests.map(({ url }) => new URL(url).origin)).size).toBe(1);
      const log = await readFile(join(folder, 'data/functions.log'), 'utf8');
      expect(log).not.toContain(key);
    });

    test('is small', async () => {
      const { page, requests } = await look();
      await page.goto(address);
      await heading(page).getByText('needs attention').waitFor();
      await page.waitForLoadState('networkidle');
      // Not compressed: less than the limit for what is.
      expect(requests.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(60_000);
    });

    test('asks for the key where the address has none, and again if it is wrong', async () => {
      const { page } = await look();
      await page.goto(address.split('#')[0]!);
      const field = page.getByLabel('Function key of the app');
      await field.fill('wrong');
      await page.keyboard.press('Enter');
      await page.getByText('Enter a key that opens the pages.').waitFor();
      // No header can have this character.
      await field.fill('kłucz');
      await page.keyboard.press('Enter');
      await expect.poll(() => field.evaluate((one: Focusable) => one.matches(':focus'))).toBe(true);
      await page.reload();
      await page.getByText('Enter a key that opens the pages.').waitFor();
      await field.fill(key);
      await page.keyboard.press('Enter');
      await heading(page).getByText('One table needs attention').waitFor();
      expect(page.url()).not.toContain(key);
    });

    test('shows a sync as it goes, without a reload, and by keyboard alone', async () => {
      const { page, complaints } = await look();
      await page.goto(address);
      await heading(page).getByText('needs attention').waitFor();
      await page.evaluate(() => Object.assign(globalThis, { isSame: true }));
      const button = page.getByRole('button', { name: 'Start a sync' });
      dataverse.faults.add({ kind: 'delay', match: /contacts/, delayMs: 3000, times: 2 } as never);
      for (let n = 0; n < 40; n++) {
        await page.keyboard.press('Tab');
        if (await button.evaluate((one: Focusable) => one.matches(':focus'))) break;
      }
      // The request takes a while, in which news arrive and the button is pressed again.
      let posts = 0;
      await page.route('**/api/sync', async (route) => {
        posts += 1;
        await new Promise((done) => setTimeout(done, 500));
        await route.continue();
      });
      await page.evaluate(() => {
        const { MutationObserver: Observer, document: page } = globalThis as unknown as {
          MutationObserver: new (changed: () => void) => { observe(target: object, what: object): void };
          document: { getElementById(id: string): { textContent: string } };
        };
        const notice = page.getElementById('notice');
        const said: string[] = [];
        new Observer(() => said.push(notice.textContent)).observe(notice, {
          childList: true,
          characterData: true,
          subtree: true,
        });
        Object.assign(globalThis, { said });
      });
      await page.keyboard.press('Enter');
      await page.locator('button[aria-disabled=true]').waitFor();
      const news = page.waitForResponse(/pages\/overview/);
      await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))");
      await news;
      await page.keyboard.press('Enter');
      await page.getByText('Done: started.').waitFor();
      expect(posts).toBe(1);
      await page.locator('main[data-live]').waitFor();
      await page.locator('main:not([data-live])').waitFor();
      await heading(page).getByText('needs attention').waitFor();
      expect(await page.evaluate(() => (globalThis as unknown as { isSame?: boolean }).isSame)).toBe(true);
      // The keyboard is where it was, and what was said was said once.
      expect(await button.evaluate((one: Focusable) => one.matches(':focus'))).toBe(true);
      expect(await page.evaluate('said')).toEqual(['Done: started.']);
      expect(await page.locator('tbody tr').count()).toBeGreaterThan(1);
      expect(complaints).toEqual([]);
    });

    test('says why a button or a page failed, also where the answer has no problem document', async () => {
      const { page } = await look();
      // The routes stay as they are: to add or remove one while a request is under way can leave it without an answer.
      let answer: { status: number; body?: string } = { status: 404 };
      let isDown = false;
      await page.route('**/api/sync', (route) => route.fulfill(answer));
      await page.route('**/pages/overview', (route) => (isDown ? route.abort() : route.continue()));
      const problem = new Problem(500, 'The mirror <b>cannot</b> be read.', { hint: 'Restore it.' });
      await page.route('**/pages/schema', (route) =>
        route.fulfill({ status: 500, contentType: 'text/html', body: String(problemPage(problem).body) }),
      );
      await page.goto(address);
      await heading(page).getByText('needs attention').waitFor();
      const notice = page.locator('#notice');
      const document = { detail: 'This needs the app role Mirror.Operate.', hint: 'Assign it.' };
      const answers = [
        [401, '', /status 401.*host key/],
        [403, '', /status 403.*host key/],
        [404, '', /status 404/],
        [500, 'null', /status 500/],
        [502, '<html>Bad gateway</html>', /status 502/],
        [403, JSON.stringify(document), /^This needs the app role Mirror\.Operate\. Assign it\.$/],
      ] as const;
      for (const [status, body, said] of answers) {
        answer = { status, body };
        const news = page.waitForResponse(/pages\/overview/);
        await page.getByRole('button', { name: 'Start a sync' }).click();
        await expect.poll(() => notice.textContent()).toMatch(said);
        await news;
      }
      // What the button did stays, also if the page answers again only after it.
      isDown = true;
      await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))");
      await notice.getByText('The app does not answer. The figures may be old.').waitFor();
      isDown = false;
      answer = { status: 404 };
      const recovered = page.waitForResponse(/pages\/overview/);
      await page.getByRole('button', { name: 'Start a sync' }).click();
      await recovered;
      await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))");
      await page.waitForLoadState('networkidle');
      expect(await notice.textContent()).toMatch(/status 404/);

      await open(page, 'Schema');
      await notice
        .getByText('Internal Server Error: The mirror <b>cannot</b> be read. What to do: Restore it.')
        .waitFor();
    });

    test('skips to the content without loading it, and folds what was unfolded elsewhere', async () => {
      const { page, requests } = await look();
      await page.goto(address);
      await heading(page).getByText('needs attention').waitFor();
      await page.waitForLoadState('networkidle');
      const before = requests.length;
      await page.locator('.skip').press('Enter');
      await page.waitForLoadState('networkidle');
      expect(requests.length).toBe(before);
      // No page of the sample has anything to unfold.
      await page.route(/pages\/(?:schema|quality)$/, async (route) => {
        const response = await route.fetch();
        const body = (await response.text()).replace(
          '<h1>',
          '<details><summary>More</summary></details><h1>',
        );
        await route.fulfill({ response, body });
      });
      await open(page, 'Schema');
      await heading(page).getByText('Schema').waitFor();
      await page.getByText('More', { exact: true }).click();
      expect(await page.locator('details[open]').count()).toBe(1);
      await open(page, 'Quality');
      await heading(page).getByText('Quality').waitFor();
      expect(await page.locator('details').count()).toBe(1);
      expect(await page.locator('details[open]').count()).toBe(0);
    });

    test('is whole without a script', async () => {
      const { page } = await look({ javaScriptEnabled: false });
      await page.goto(address.replace('/dashboard#key=', '/pages/overview?code='));
      expect(await heading(page).textContent()).toContain('needs attention');
      await page.getByRole('link', { name: 'Quality' }).click();
      expect(await page.locator('main').textContent()).toContain('Row counts');
      expect(await page.getByRole('button').count()).toBe(0);
    });

    test('keeps nobody out, light or dark', async () => {
      const { page } = await look();
      const begin = address.replace('/dashboard#key=', '/pages/overview?code=');
      const paths = [
        ...['overview', 'runs', 'tables', 'tables/account', 'tables/lead', 'schema', 'quality'],
        ...['metrics', 'data', 'data?table=accounts&'],
      ];
      for (const path of paths) {
        await page.goto(begin.replace('overview?', path.includes('?') ? path : `${path}?`));
        if (path.startsWith('data')) await page.locator('#data h2').first().waitFor();
        await page.evaluate(axe);
        // The schemes differ in colours alone.
        for (const [colorScheme, rules, fewest] of [
          ['light', undefined, 11],
          ['dark', ['color-contrast', 'link-in-text-block'], 1],
        ] as const) {
          await page.emulateMedia({ colorScheme });
          const { found, passes } = await page.evaluate(
            async (runOnly) => {
              const { axe: checker } = globalThis as unknown as {
                axe: {
                  run(options: object): Promise<{
                    violations: { id: string; nodes: { html: string }[] }[];
                    passes: object[];
                  }>;
                };
              };
              const { violations, passes } = await checker.run(runOnly === undefined ? {} : { runOnly });
              return {
                found: violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`),
                passes: passes.length,
              };
            },
            rules && [...rules],
          );
          expect(passes, path).toBeGreaterThanOrEqual(fewest);
          expect(found, `${path}, ${colorScheme}`).toEqual([]);
        }
      }
    });

    test('fits into 320, 768 and 1,400 pixels', async () => {
      const { page } = await look({ viewport: { width: 320, height: 800 } });
      const begin = address.replace('/dashboard#key=', '/pages/overview?code=');
      const paths = ['overview', 'runs', 'tables', 'tables/account', 'schema', 'quality', 'metrics', 'data'];
      for (const path of paths) {
        await page.goto(begin.replace('overview', path));
        if (path === 'data') await page.locator('#data h2').first().waitFor();
        for (const width of [320, 768, 1400]) {
          await page.setViewportSize({ width, height: 800 });
          const wide = await page.evaluate<number>('document.documentElement.scrollWidth');
          expect(wide, path).toBeLessThanOrEqual(width);
        }
      }
    });
  },
);

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { overviewPage, statusLinks } from '../../../src/http/sync/status-page.ts';
import { chromiumAbsent, chromiumPath } from './chromium.ts';
import { entityReport, runStatus } from './runs.ts';

const root = resolve(import.meta.dirname, '../../..');

describe.skipIf(chromiumPath === undefined)(
  `the status page in Chromium${chromiumPath === undefined ? ` (skipped: ${chromiumAbsent})` : ''}`,
  () => {
    let browser: Browser;
    let folder: string;
    let app: ChildProcess;
    let address: string;

    beforeAll(async () => {
      browser = await chromium.launch({ executablePath: chromiumPath! });
      folder = await mkdtemp(join(tmpdir(), 'status-page-'));
      ({ app, address } = await startApp(folder));
    });

    afterAll(async () => {
      await browser?.close();
      if (app?.exitCode === null) {
        app.kill('SIGTERM');
        await once(app, 'close');
      }
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    });

    /** Opens a page with scripts disabled and collects the console messages of the browser. */
    async function open(options: { width?: number; colorScheme?: 'light' | 'dark' } = {}) {
      const { width = 1200, colorScheme = 'light' } = options;
      const context = await browser.newContext({
        javaScriptEnabled: false,
        viewport: { width, height: 900 },
        colorScheme,
      });
      const page = await context.newPage();
      const complaints: string[] = [];
      page.on('console', (message) => complaints.push(message.text()));
      return { page, complaints };
    }

    test('shows a run, its tables and the latest runs, with the function key in every link', async () => {
      const { page, complaints } = await open();
      const answer = await page.goto(address);
      expect(answer?.headers()['content-type']).toBe('text/html; charset=utf-8');
      await expectHeading(page, 'Sync complete');
      const { runs } = (await (await fetch(address)).json()) as { runs: ReturnType<typeof runStatus>[] };
      const [run] = runs;
      const tables = page.getByRole('table');
      expect(await tables.first().getByRole('rowheader').allTextContents()).toEqual(
        run!.entities.map(({ name }) => name),
      );
      const account = run!.entities.find(({ name }) => name === 'account')!;
      const row = tables
        .first()
        .getByRole('row')
        .filter({ has: page.getByRole('rowheader', { name: 'account', exact: true }) });
      const cells = await row.getByRole('cell').allTextContents();
      expect(cells.slice(2)).toEqual(
        [account.rowsRead, account.added, account.updated, account.deleted, account.unchanged]
          .map((figure) => figure.toLocaleString('en-US'))
          .concat(account.seconds.toFixed(1)),
      );

      await tables.nth(1).getByRole('link').first().click();
      await expectHeading(page, 'Sync complete');
      expect(new URL(page.url()).pathname).toBe(`/api/sync/${run!.runId}`);
      await page.getByRole('link', { name: 'Schema report' }).click();
      expect(await page.locator('body').textContent()).toContain('# Schema report');
      await page.goBack();
      await page.getByRole('link', { name: 'All syncs' }).click();
      expect(page.url()).toBe(address);

      const absent = await page.goto(address.replace('/api/sync', '/api/sync/none'));
      expect(absent?.status()).toBe(404);
      await expectHeading(page, 'Not Found');
      expect(complaints.filter((text) => !text.includes('404'))).toEqual([]);
    });

    test.each(['light', 'dark'] as const)('is readable at 400 pixels in %s colours', async (colorScheme) => {
      const { page } = await open({ width: 400, colorScheme });
      await page.goto(address);
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(400);
      const colors = (await page.evaluate(`[...document.querySelectorAll('main *')].map((one) => {
        let behind = one, background;
        do background = getComputedStyle(behind).backgroundColor;
        while (background === 'rgba(0, 0, 0, 0)' && (behind = behind.parentElement));
        return { name: one.localName, text: getComputedStyle(one).color, background };
      })`)) as { name: string; text: string; background: string }[];
      expect(colors.length).toBeGreaterThan(100);
      // Web Content Accessibility Guidelines 2.2, 1.4.3.
      expect(colors.filter(({ text, background }) => contrast(text, background) < 4.5)).toEqual([]);
    });

    // 961 pixels is the narrowest width at which tables are not blocks.
    test.each([700, 961, 1600])('does not scroll sideways at %i pixels', async (width) => {
      const { page } = await open({ width });
      await page.goto(address);
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
    });

    test('reloads until the run has ended', async () => {
      let loads = 0;
      const live = runStatus({ phase: 'merging', entities: [entityReport({ state: 'fetched' })] });
      const { url, server } = await serve(() => {
        loads += 1;
        const over = loads > 2;
        return overviewPage(
          { active: over ? null : live, runs: [over ? runStatus() : live] },
          statusLinks({ url: 'http://localhost/api/sync' }),
        );
      });
      const { page } = await open();
      await page.goto(url);
      await expectHeading(page, 'Sync is merging');
      await page.getByRole('heading', { name: 'Sync complete' }).waitFor();
      expect(loads).toBe(3);
      server.close();
    });
  },
);

async function expectHeading(page: Page, text: string): Promise<void> {
  expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe(text);
}

/** Runs the built app as `npm start` does and waits for the end of its first sync. */
async function startApp(folder: string): Promise<{ app: ChildProcess; address: string }> {
  const args = ['--rows', '200', '--data', join(folder, 'data'), '--port', '0'];
  const app = spawn(process.execPath, [join(root, 'dist/local/start.js'), ...args], {
    cwd: folder,
    env: { PATH: process.env['PATH'] },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  app.stderr!.on('data', (chunk) => (output += chunk));
  for await (const chunk of app.stdout!.iterator({ destroyOnReturn: false })) {
    output += chunk;
    const address = /^Status +(\S+)\n/m.exec(output)?.[1];
    if (address !== undefined) {
      app.stdout!.resume();
      return { app, address };
    }
  }
  throw new Error(`The app ended without printing a status address:\n${output}`);
}

async function serve(
  answer: () => { headers?: unknown; body?: unknown },
): Promise<{ url: string; server: Server }> {
  const server = createServer((request, response) => {
    if (request.url !== '/') {
      response.writeHead(404).end();
      return;
    }
    const { headers, body } = answer();
    response.writeHead(200, headers as Record<string, string>).end(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, server };
}

/** The contrast ratio of two CSS colours, `rgb(…)`. */
function contrast(one: string, other: string): number {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light! + 0.05) / (dark! + 0.05);
}

function luminance(color: string): number {
  const [red, green, blue] = color
    .match(/[\d.]+/g)!
    .slice(0, 3)
    .map((channel) => {
      const value = Number(channel) / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
}

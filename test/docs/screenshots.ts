/** `npm run screenshots`: takes the pictures of the documentation from some syncs of a sample Dataverse that changes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromiumAbsent, chromiumPath, launchChromium } from '../http/dashboard/chromium.ts';
import { root } from './pages.ts';

if (chromiumPath === undefined) {
  console.error(`Screenshots need Chromium: ${chromiumAbsent}.`);
  process.exit(1);
}
const folder = mkdtempSync(join(tmpdir(), 'screenshots-'));
const app = spawn(
  process.execPath,
  [join(root, 'dist/local/start.js'), '--live', '--port', '0', '--data', join(folder, 'data')],
  { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] },
);
try {
  const browser = await launchChromium();
  const page = await browser.newPage({ viewport: { width: 1180, height: 820 }, deviceScaleFactor: 1.5 });
  await page.goto(await addressOfPages());
  const pages = { Overview: 'h1', Campaigns: 'svg', Data: 'table.data' };
  for (const [name, part] of Object.entries(pages)) {
    await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name, exact: true }).click();
    await page.locator('nav a[aria-current=page]', { hasText: name }).waitFor();
    await page.locator(part).first().waitFor();
    if (name === 'Data') {
      await page.locator('#table').selectOption('contacts');
      await page.locator('h2', { hasText: 'contacts' }).waitFor();
    }
    await page.waitForTimeout(1500);
    await page.screenshot({ path: join(root, `docs/images/${name.toLowerCase()}.png`) });
  }
  await browser.close();
} finally {
  app.kill('SIGTERM');
  await once(app, 'close');
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}

/** The address of the pages, once there were some syncs. */
async function addressOfPages(): Promise<string> {
  let output = '';
  for await (const chunk of app.stdout.iterator({ destroyOnReturn: false })) {
    output += chunk;
    const address = /^Pages +(\S+)\n/m.exec(output)?.[1];
    if (address !== undefined && output.split('Sync complete').length > 9) {
      app.stdout.resume();
      return address;
    }
  }
  throw new Error(`The app ended without an address of its pages:\n${output}`);
}

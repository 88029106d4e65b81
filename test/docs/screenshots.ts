/** `npm run screenshots`: takes the pictures of the documentation from a first sync of the sample Dataverse. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { chromiumAbsent, chromiumPath } from '../http/sync/chromium.ts';
import { root } from './pages.ts';

if (chromiumPath === undefined) {
  console.error(`Screenshots need Chromium: ${chromiumAbsent}.`);
  process.exit(1);
}
const folder = mkdtempSync(join(tmpdir(), 'screenshots-'));
const app = spawn(
  process.execPath,
  [join(root, 'dist/local/start.js'), '--port', '0', '--data', join(folder, 'data')],
  { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] },
);
try {
  const browser = await chromium.launch({ executablePath: chromiumPath });
  const page = await browser.newPage({ viewport: { width: 1180, height: 820 }, deviceScaleFactor: 1.5 });
  await page.goto(await statusAddress());
  await page.screenshot({ path: join(root, 'docs/images/status-page.png') });
  await browser.close();
} finally {
  app.kill('SIGTERM');
  await once(app, 'close');
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}

/** The address of the status page, printed after the first sync. */
async function statusAddress(): Promise<string> {
  let output = '';
  for await (const chunk of app.stdout.iterator({ destroyOnReturn: false })) {
    output += chunk;
    const address = /^Status +(\S+)\n/m.exec(output)?.[1];
    if (address !== undefined) {
      app.stdout.resume();
      return address;
    }
  }
  throw new Error(`The app ended without a status address:\n${output}`);
}

import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

/** The path of Chromium; undefined if it is not installed. */
export const chromiumPath = [process.env['CHROMIUM_PATH'], '/usr/bin/chromium'].find(
  (path) => path !== undefined && path !== '' && existsSync(path),
);

/** Why a browser test is skipped. */
export const chromiumAbsent = 'no /usr/bin/chromium, and CHROMIUM_PATH is not set';

/** Starts Chromium. What a test awaits in its pages may take as long as `expect.poll` waits: see vitest.config.ts. */
export async function launchChromium(): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: chromiumPath! });
  browser.on('context', (context) => context.setDefaultTimeout(90_000));
  return browser;
}

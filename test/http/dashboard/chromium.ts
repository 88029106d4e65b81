import { existsSync } from 'node:fs';

/** The path of Chromium; undefined if it is not installed. */
export const chromiumPath = [process.env['CHROMIUM_PATH'], '/usr/bin/chromium'].find(
  (path) => path !== undefined && path !== '' && existsSync(path),
);

/** Why a browser test is skipped. */
export const chromiumAbsent = 'no /usr/bin/chromium, and CHROMIUM_PATH is not set';

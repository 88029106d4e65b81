import { existsSync } from 'node:fs';

/** Where Chromium is, undefined where there is none. */
export const chromiumPath = [process.env['CHROMIUM_PATH'], '/usr/bin/chromium'].find(
  (path) => path !== undefined && path !== '' && existsSync(path),
);

/** Why a browser test does not run here. */
export const chromiumAbsent = 'there is no /usr/bin/chromium, and CHROMIUM_PATH names none';

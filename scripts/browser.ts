import { join, resolve } from 'node:path';
import { buildBrowser } from './package/browser.ts';

/** Builds the code of the web pages into dist/browser: `npm run build`. */
const root = resolve(import.meta.dirname, '..');
await buildBrowser(root, join(root, 'dist/browser'));

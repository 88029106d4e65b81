import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { SyncError } from '../../errors.ts';
import type { Handler } from '../handler.ts';
import { Problem } from '../problem.ts';

/** The files that pages load, by name, with their types. They hold no data. */
const script = 'text/javascript; charset=utf-8';
const types: Readonly<Record<string, string>> = {
  'dashboard.js': script,
  'data.js': script,
  'sqlite-worker.js': script,
  'sqlite3.wasm': 'application/wasm',
};

interface Asset {
  bytes: Buffer;
  /** Made with the first request for it. */
  gzipped?: Buffer;
  hash: string;
}

const loaded = new Map<string, Asset>();

/** The address of an asset contains a hash of its content, so that a cache can keep it for ever. */
export function assetName(name: string): string {
  return name.replace('.', `-${assetOf(name).hash}.`);
}

/** `GET /api/assets/{name}`: code of the pages, without a key. */
export const getAsset: Handler<undefined> = (_, request) => {
  const [, stem, hash, ending] = /^([\w-]+)-([0-9a-f]{12})(\.\w+)$/.exec(request.params['name'] ?? '') ?? [];
  const name = `${stem}${ending}`;
  const asset = Object.hasOwn(types, name) ? assetOf(name) : undefined;
  if (asset?.hash !== hash || asset === undefined) {
    throw new Problem(404, 'There is no such file.', { hint: 'Load the page again.' });
  }
  const isZipped = /\bgzip\b/.test(request.headers.get('accept-encoding') ?? '');
  if (isZipped) asset.gzipped ??= gzipSync(asset.bytes);
  return {
    body: isZipped ? asset.gzipped : asset.bytes,
    headers: {
      'content-type': types[name]!,
      'cache-control': 'public, max-age=31536000, immutable',
      // A thread has the policy of its own code, not that of the page.
      'content-security-policy':
        "default-src 'none'; connect-src 'self'; script-src 'self' 'wasm-unsafe-eval'",
      vary: 'Accept-Encoding',
      ...(isZipped && { 'content-encoding': 'gzip' }),
    },
  };
};

function assetOf(name: string): Asset {
  const known = loaded.get(name);
  if (known !== undefined) return known;
  const bytes = readFileSync(pathOf(name));
  const asset = { bytes, hash: createHash('sha256').update(bytes).digest('hex').slice(0, 12) };
  loaded.set(name, asset);
  return asset;
}

/** Beside the code in the deployment package, or where `npm run build` puts it. */
function pathOf(name: string): string {
  const folders = ['browser', '../../browser', '../../../dist/browser'];
  const paths = folders.map((folder) => join(import.meta.dirname, folder, name));
  const path = paths.find((one) => existsSync(one));
  if (path !== undefined) return path;
  throw new SyncError(`The file ${name} of the web pages is missing.`, {
    operation: 'serve the pages',
    object: name,
    hint: 'Build the app again: npm run build.',
  });
}

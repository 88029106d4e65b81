import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildPackage } from '../../scripts/package/build-package.ts';

const project = resolve(import.meta.dirname, '../..');
/** A checkout of which all but the lists of tables is the project's own. */
let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'entities-file-'));
  for (const name of ['src', 'node_modules', 'package.json', 'host.json', 'LICENSE', 'tsconfig.json'])
    symlinkSync(join(project, name), join(root, name));
  writeFileSync(join(root, 'entities.json'), '{"entities": ["account"]}');
  writeFileSync(join(root, 'entities.prod.json'), '{"entities": ["contact"]}');
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const build = (file: string) => buildPackage(root, join(root, 'out/app'), { SYNC_ENTITIES_FILE: file });

test('the file that SYNC_ENTITIES_FILE names is packed under its name', async () => {
  const { folder } = await build('./entities.prod.json');
  expect(readFileSync(join(folder, 'entities.prod.json'), 'utf8')).toContain('contact');
});

test.each([
  ['entities.test.json', /SYNC_ENTITIES_FILE is entities\.test\.json, but .* is not a file/],
  ['src', /is not a file/],
  ['../entities.json', /outside of the package/],
  ['/etc/hostname', /outside of the package/],
])('%s is refused, and the last package stays', async (file, message) => {
  await expect(build(file)).rejects.toThrow(message);
  expect(existsSync(join(root, 'out/app/host.json'))).toBe(true);
});

import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
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

const build = (file: string, more: Record<string, string> = {}) =>
  buildPackage(root, join(root, 'out/app'), { SYNC_ENTITIES_FILE: file, ...more });

/** @param settings of the environments by name, or another text of the file */
function buildWith(settings: object | string) {
  const text = typeof settings === 'string' ? settings : JSON.stringify({ environments: settings });
  writeFileSync(join(root, 'environments.json'), text);
  return build('', { SYNC_ENVIRONMENTS_FILE: './environments.json' });
}

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

test('npm run package says what is wrong in one line', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(project, 'scripts/package.ts')], {
    cwd: root,
    env: { ...process.env, SYNC_ENTITIES_FILE: 'absent.json' },
    encoding: 'utf8',
  });
  expect([status, stdout, stderr]).toEqual([
    1,
    '',
    expect.stringMatching(/^SYNC_ENTITIES_FILE is absent\.json, but .* is not a file\. Create it, .*\n$/),
  ]);
});

test('the file of further environments is packed with the lists of tables that it names', async () => {
  const { folder } = await buildWith({
    sales: { DATAVERSE_URL: 'https://sales.example', SYNC_ENTITIES_FILE: 'entities.prod.json' },
    service: { DATAVERSE_URL: 'https://service.example', SYNC_ENTITIES_FILE: '' },
    test: { DATAVERSE_URL: 'https://test.example', SYNC_ENTITIES_FILE: ' ' },
  });
  const packed = readdirSync(folder).filter((name) => name.endsWith('.json'));
  expect(packed.sort()).toEqual([
    ...['entities.json', 'entities.prod.json', 'environments.json', 'host.json', 'package.json'],
  ]);
  expect(readFileSync(join(folder, 'environments.json'), 'utf8')).toContain('https://sales.example');
});

test.each<[object | string, RegExp]>([
  [
    { sales: { SYNC_ENTITIES_FILE: 'entities.sales.json' } },
    /^SYNC_ENTITIES_FILE of the environment sales is entities\.sales\.json, but .* is not a file/,
  ],
  [{ sales: { SYNC_ENTITIES_FILE: '../entities.json' } }, /environment sales .* outside of the package/],
  [
    { sales: { SYNC_ENTITIES_FILE: '%SALES_TABLES%' } },
    /is %SALES_TABLES%, an app setting .* Write the path/,
  ],
  ['{"environments": {"sales": hunter2', /environments\.json is not valid JSON\. docs/],
  ['[]', /environments\.json must be an object with "environments"/],
])('further environments %j are refused, and the last package stays', async (settings, message) => {
  const failed = await buildWith(settings).catch((error: Error) => error.message);
  expect(failed).toMatch(message);
  expect(failed).not.toContain('hunter2');
  expect(existsSync(join(root, 'out/app/host.json'))).toBe(true);
});

test.each([
  ['absent.json', /SYNC_ENVIRONMENTS_FILE is absent\.json, but .* is not a file/],
  ['../environments.json', /SYNC_ENVIRONMENTS_FILE is \.\.\/environments\.json, which is outside/],
])('the file of further environments %s is refused', async (file, message) => {
  await expect(build('', { SYNC_ENVIRONMENTS_FILE: file })).rejects.toThrow(message);
});

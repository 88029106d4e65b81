import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { LocalSync, localPaths } from '../../src/cli/sync/local-sync.ts';
import { parseEntities } from '../../src/config/entities.ts';
import { readSettings } from '../../src/config/settings.ts';
import { startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';

const main = resolve(import.meta.dirname, '../../dist/cli/main.js');
let folder: string;
let file: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'verify-'));
  file = join(folder, 'my.db');
  const dataverse = await startSampleDataverse({ rows: 300 });
  const settings = readSettings({
    DATAVERSE_URL: dataverse.url,
    DATAVERSE_ACCESS_TOKEN: 'test',
    AzureWebJobsStorage: 'UseDevelopmentStorage=true',
  });
  const quiet = { log: () => undefined, event: () => undefined, metric: () => undefined };
  const tables = parseEntities(['account', 'contact']);
  await (await LocalSync.open(settings, () => tables, localPaths(file), quiet)).run({}, () => undefined);
  await dataverse.stop();
});
afterAll(() => rmSync(folder, { recursive: true }));

async function verify(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return promisify(execFile)(process.execPath, [main, 'verify', ...args]).then(
    (output) => ({ code: 0, ...output }),
    (error: { code: number; stdout: string; stderr: string }) => error,
  );
}

it('finds a mirror sound, a wrong count, damage, and no file', async () => {
  const sound = await verify(file);
  expect([sound.code, sound.stdout]).toEqual([0, expect.stringMatching(/^Sound: 2 tables, \d+ pages/)]);
  expect(sound.stderr).toBe('');

  const db = new DatabaseSync(file);
  db.exec('DELETE FROM contacts WHERE rowid IN (SELECT rowid FROM contacts LIMIT 3)');
  db.close();
  const wrong = await verify(file, '--json');
  const result = JSON.parse(wrong.stdout);
  expect([wrong.code, result.faultCount]).toEqual([1, 0]);
  expect(result.miscounted).toEqual([
    { table: 'contact', kept: expect.any(Number), counted: expect.any(Number) },
  ]);

  const bytes = readFileSync(file);
  bytes.fill(0xff, 8192 * 5, 8192 * 6);
  writeFileSync(file, bytes);
  const damaged = await verify(file);
  expect([damaged.code, damaged.stdout]).toEqual([1, expect.stringMatching(/^Damaged: \d+ fault/)]);

  expect(await verify(join(folder, 'nowhere.db'))).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('There is no file'),
  });
  expect(await verify()).toMatchObject({ code: 2 });
});

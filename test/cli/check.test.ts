import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { Check } from '../../src/check/check.ts';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';

const main = resolve(import.meta.dirname, '../../dist/cli/main.js');
let dataverse: SampleDataverse;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'check-'));
  dataverse = await startSampleDataverse({ rows: 2000 });
});
afterAll(async () => {
  await dataverse.stop();
  rmSync(folder, { recursive: true });
});
afterEach(() => dataverse.store.deniedPrivileges.clear());

async function check(args: readonly string[], token = 'test') {
  const env = { ...process.env, DATAVERSE_ACCESS_TOKEN: token, DATAVERSE_PAGE_SIZE: '100' };
  return promisify(execFile)(process.execPath, [main, 'check', '--dataverse', dataverse.url, ...args], {
    env,
  }).then(
    (output) => ({ code: 0, ...output }),
    (error: { code: number; stdout: string; stderr: string }) => error,
  );
}

const found = (stdout: string, name: string): Check => {
  const { checks } = JSON.parse(stdout) as { checks: Check[] };
  return checks.find((one) => one.name === name)!;
};

it('says that all is well, and what a first sync reads', async () => {
  const { code, stdout } = await check(['--tables', 'account,contact,lead', '--json']);
  expect(code).toBe(0);
  expect(JSON.parse(stdout).ok).toBe(true);
  const names = (JSON.parse(stdout) as { checks: Check[] }).checks.map(({ name }) => name);
  expect(names).toEqual([
    ...['dataverse', 'clock: dataverse', 'privileges', 'table account', 'table contact', 'table lead'],
    ...['read account', 'read contact', 'read lead', 'first sync'],
  ]);
  expect(found(stdout, 'table account').detail).toContain('delta');
  expect(found(stdout, 'table lead').hint).toContain('Track changes');
  const rows = ['account', 'contact', 'lead'].map((table) => dataverse.store.count(table));
  const { figures } = found(stdout, 'first sync');
  expect(figures).toMatchObject({
    rows: rows.reduce((sum, count) => sum + count),
    requests: rows.reduce((sum, count) => sum + Math.ceil(count / 100), 0),
  });
  // The estimate by a sample is near what the rows weigh.
  let bytes = 0;
  for (const set of ['accounts', 'contacts', 'leads']) {
    const reply = await fetch(`${dataverse.url}/api/data/v9.2/${set}`, {
      headers: {
        Authorization: 'Bearer test',
        Prefer: 'odata.include-annotations="Microsoft.Dynamics.CRM.lookuplogicalname"',
      },
    });
    bytes += (await reply.text()).length;
  }
  expect(figures!['bytes']! / bytes).toBeGreaterThan(0.7);
  expect(figures!['bytes']! / bytes).toBeLessThan(1.4);
});

it('reads the tables with their options, and reports each that fails', async () => {
  const file = join(folder, 'entities.json');
  writeFileSync(file, JSON.stringify(['account', { name: 'contact', filtered: true }, 'new_nothing']));
  dataverse.store.deniedPrivileges.add('prvReadcontact');
  const { code, stdout } = await check(['--entities', file, '--json']);
  expect(code).toBe(1);
  const failures = (JSON.parse(stdout) as { checks: Check[] }).checks.filter(({ ok }) => !ok);
  expect(failures.map(({ name }) => name)).toEqual([
    ...['table contact', 'table new_nothing', 'read contact', 'read new_nothing'],
  ]);
  expect(found(stdout, 'table contact').hint).toContain('dataverse-sqlite-sync role');
  expect(found(stdout, 'first sync').detail).toContain(
    'filtered tables, of which referenced rows are read: 1',
  );
  expect(found(stdout, 'first sync').figures).toMatchObject({ rows: dataverse.store.count('account') });
});

it('stops at a sign-in that fails, and at wrong options', async () => {
  const fault = dataverse.faults.add({ kind: '403-not-a-member', times: 20 });
  const { code, stdout } = await check(['--tables', 'account']);
  fault.remove();
  expect(code).toBe(1);
  expect(stdout).toMatch(/^FAILED {2}dataverse: /);
  expect(stdout).not.toContain('table account');
  expect(await check([])).toMatchObject({ code: 2, stderr: expect.stringContaining('--tables') });
  expect(await check(['--tables', 'account', '--wrong'])).toMatchObject({ code: 2 });
  expect(await check(['--tables', ''])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--tables'),
  });
  expect(await check(['--entities', '/no/entities.json'])).toMatchObject({
    ...{ code: 2, stderr: expect.stringContaining('/no/entities.json') },
  });
});

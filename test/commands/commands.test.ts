import { execFile } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { BlobServiceClient } from '@azure/storage-blob';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import { type Azurite, startAzurite } from '../azurite.ts';

/** The Node.js that runs the tests, and the machine's own, which may be the oldest supported release. */
const nodes = new Set(
  [
    process.execPath,
    ...process.env['PATH']!.split(delimiter)
      .filter((folder) => !folder.includes('node_modules'))
      .map((folder) => join(folder, 'node'))
      .filter(existsSync),
  ].map((path) => realpathSync(path)),
);

let azurite: Azurite;
beforeAll(async () => {
  azurite = await startAzurite();
});
afterAll(() => azurite.stop());

/** Runs a built command in a folder without local.settings.json. */
function run(node: string, command: string, args: string[], env: Record<string, string> = {}) {
  const file = resolve(import.meta.dirname, '../../dist/cli/main.js');
  return new Promise<{ status: number; stdout: string; stderr: string }>((done) => {
    execFile(node, [file, command, ...args], { cwd: import.meta.dirname, env }, (error, stdout, stderr) => {
      done({ status: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

test.each([...nodes])('npm run provision creates the table (%s)', async (node) => {
  const dataverse = await startSampleDataverse({ rows: 50, campaignMetrics: false });
  const env = { DATAVERSE_URL: dataverse.url, DATAVERSE_ACCESS_TOKEN: 'test' };
  const dryRun = await run(node, 'provision', ['--dry-run'], env);
  expect(dryRun).toMatchObject({ status: 0, stderr: '' });
  expect(dryRun.stdout).toContain('would create the table apex_campaignmetrics');
  expect(await run(node, 'provision', [], env)).toMatchObject({ status: 0, stderr: '' });
  const again = await run(node, 'provision', [], env);
  expect(again.stdout).toContain('The table apex_campaignmetrics is complete.');
  await dataverse.stop();
});

test('npm run role prints, creates and assigns the role', async () => {
  const dataverse = await startSampleDataverse({ rows: 50 });
  const env = {
    DATAVERSE_URL: dataverse.url,
    DATAVERSE_ACCESS_TOKEN: 'test',
    SYNC_ENTITIES_FILE: resolve(import.meta.dirname, '../../entities.json'),
  };
  const clientId = [...dataverse.store.truth('systemuser').values()].find((user) => user['applicationid'])![
    'applicationid'
  ] as string;
  const printed = await run(process.execPath, 'role', [], env);
  expect(printed).toMatchObject({ status: 0, stderr: '' });
  expect(printed.stdout.split('\n')).toContain('prvReadEntity (organization level)');
  const created = await run(process.execPath, 'role', ['--create', '--assign', clientId], env);
  expect(created).toMatchObject({ status: 0, stderr: '' });
  expect(created.stdout).toContain(`assigned it to ${clientId}`);
  const again = await run(process.execPath, 'role', ['--create', '--assign', clientId], env);
  expect(again).toMatchObject({ status: 0, stderr: '' });
  expect(again.stdout).toContain('It has all privileges that the app needs.');
  expect(again.stdout).toContain('has the role already');
  await dataverse.stop();
});

test('npm run metrics:replay lists and queues poison records', async () => {
  const work = 'work-of-replay';
  const env = {
    DATAVERSE_URL: 'https://contoso.crm.dynamics.com',
    AzureWebJobsStorage: azurite.connectionString,
    SYNC_WORK_CONTAINER: work,
  };
  expect((await run(process.execPath, 'replay', [], env)).stdout).toBe('0 records queued again.\n');
  const container = BlobServiceClient.fromConnectionString(azurite.connectionString).getContainerClient(work);
  await container.createIfNotExists();
  const poison = {
    id: 'a',
    ticket: '1-0',
    acceptedAt: 'then',
    refusedAt: 'later',
    error: 'too long',
    record: {},
  };
  const text = JSON.stringify(poison);
  await container.getBlockBlobClient('metrics/poison/a.json').upload(text, text.length);
  const dryRun = await run(process.execPath, 'replay', ['--dry-run', '--id', 'A'], env);
  expect(dryRun).toMatchObject({ status: 0, stderr: '' });
  expect(dryRun.stdout).toBe('a  accepted then, rejected later: too long\n1 record would be queued again.\n');
  const replayed = await run(process.execPath, 'replay', [], env);
  expect(replayed.stdout).toContain('1 record queued again.');
  expect(await container.getBlobClient('metrics/journal/000001.jsonl').exists()).toBe(true);
});

test('prints help, and errors in options and settings', async () => {
  const help = await run(process.execPath, 'provision', ['--help']);
  expect(help).toMatchObject({ status: 0, stderr: '' });
  expect(help.stdout).toContain('--data');
  const wrongOption = await run(process.execPath, 'provision', ['--wet-run']);
  expect(wrongOption.status).toBe(2);
  expect(wrongOption.stderr).toContain(help.stdout.trim());
  const noSettings = await run(process.execPath, 'provision', []);
  expect(noSettings.status).toBe(1);
  expect(noSettings.stderr).toContain('DATAVERSE_URL is missing');
});

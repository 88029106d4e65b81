import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BlobServiceClient } from '@azure/storage-blob';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from '../../src/commands/restore.ts';
import { DatabaseBlob } from '../../src/storage/database/database-blob.ts';
import { DatabaseVersions } from '../../src/storage/database/database-versions.ts';
import { type Azurite, startAzurite } from '../azurite.ts';
import { commitFile } from '../storage/whole-file.ts';

let azurite: Azurite;
/** The account of the database is one of its own. */
let data: Azurite;

beforeAll(async () => {
  azurite = await startAzurite();
  data = await startAzurite();
});
afterAll(async () => {
  await data.stop();
  await azurite.stop();
});

/** Runs the built command in a folder without local.settings.json. */
function restore(...args: string[]) {
  const file = resolve(import.meta.dirname, '../../dist/cli/main.js');
  const env = {
    AzureWebJobsStorage: azurite.connectionString,
    SYNC_DATABASE_STORAGE: data.connectionString,
  };
  return new Promise<{ status: number; stdout: string; stderr: string }>((done) => {
    execFile(
      process.execPath,
      [file, 'restore', ...args],
      { cwd: import.meta.dirname, env },
      (error, stdout, stderr) => {
        done({ status: error === null ? 0 : Number(error.code), stdout, stderr });
      },
    );
  });
}

test('npm run restore lists the states of the database and restores one', async () => {
  const empty = await restore('--list');
  expect(empty).toEqual({
    status: 0,
    stdout: 'There is no database, and no version of one.\n',
    stderr: '',
  });

  const container = BlobServiceClient.fromConnectionString(data.connectionString).getContainerClient(
    'dataverse',
  );
  const versions = new DatabaseVersions(container, 'dataverse.db', {
    keep: { count: 5 },
    warn: (_, error) => {
      throw error;
    },
  });
  const blob = new DatabaseBlob(container, 'dataverse.db', {
    beforeCommit: (etag) => versions.beforeCommit(etag),
  });
  const states = [randomBytes(1_000_000), randomBytes(1_000_000)];
  const first = await commitFile(blob, states[0]!, { etag: 'absent' });
  const alone = await restore('--list');
  expect(alone.stdout).toMatch(/^\S+Z {6}1\.0 MB {2}current\nNo earlier state is kept\. /);
  // The time of a commit has whole seconds.
  await delay(1_010);
  const second = await commitFile(blob, states[1]!, { etag: first.etag });
  const work = BlobServiceClient.fromConnectionString(azurite.connectionString).getContainerClient(
    'sync-work',
  );
  await work.createIfNotExists();
  const runId = '20261121T014700123Z-1a2b3c4d';
  const run = JSON.stringify({
    ...{ runId, trigger: 'timer', startedAt: '2026-11-21T01:47:00.123Z', phase: 'complete' },
    finishedAt: '2026-11-21T01:48:00.123Z',
    database: { bytes: 1_000_000, stagedBlocks: 4, stagedBytes: 1_000_000, etag: first.etag },
  });
  await work.getBlockBlobClient(`runs/${runId}/run.json`).upload(run, run.length);

  const listed = await restore('--list', '--json');
  const document = JSON.parse(listed.stdout);
  expect(document).toMatchObject({
    database: 'dataverse.db',
    versions: [
      { kind: 'current', etag: second.etag, bytes: 1_000_000 },
      { kind: 'snapshot', etag: first.etag, bytes: 1_000_000, runId },
    ],
  });
  const at = document.versions[1].committedAt as string;
  expect((await restore('--list')).stdout).toMatch(
    new RegExp(`^\\S+ +1\\.0 MB {2}current\n${at} +1\\.0 MB {2}snapshot {2}run ${runId}\n$`),
  );

  const active = JSON.stringify({ runId: 'live-run', resumptions: 0 });
  await work.getBlockBlobClient('active.json').upload(active, active.length);
  expect(await restore('--at', at)).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(
      /^Error: Run live-run is live\. Nothing was restored\.\n {2}→ Wait until it is over/,
    ),
  });
  await work.deleteBlob('active.json');

  const restored = await restore('--at', at);
  expect(restored).toMatchObject({ status: 0, stderr: '' });
  expect(restored.stdout).toContain(
    `dataverse.db is the state of ${at} again: 4 of 4 blocks written (1.0 MB).`,
  );
  expect(restored.stdout).toContain('The next run continues from its cursors');
  expect(await container.getBlobClient('dataverse.db').downloadToBuffer()).toEqual(states[0]);
  const again = await restore('--at', at, '--json');
  expect(JSON.parse(again.stdout)).toMatchObject({ isUnchanged: true, version: { etag: first.etag } });
  expect((await restore('--list')).stdout).toMatch(new RegExp(` current {3}restored from ${at}\n`));
});

test.each([
  [['--at', '2026-11-20'], '--at is not a time: 2026-11-20'],
  [['--at', '2026-13-20T12:00:00Z'], '--at is not a time'],
  [[], 'Give either --list or --at.'],
  [['--list', '--at', '2026-11-20T12:00:00Z'], 'Give either --list or --at.'],
  [['--all'], "Unknown option '--all'"],
])('%j is rejected', async (args, message) => {
  await expect(run(args)).rejects.toThrow(message);
});

test('npm run restore --database lists the states of a database that entities.json names', async () => {
  const container = BlobServiceClient.fromConnectionString(data.connectionString).getContainerClient(
    'dataverse',
  );
  const blob = new DatabaseBlob(container, 'sales.db');
  await commitFile(blob, randomBytes(1_000_000), { etag: 'absent' });
  const listed = await restore('--list', '--database', 'sales', '--json');
  expect(JSON.parse(listed.stdout)).toMatchObject({ database: 'sales.db', versions: [{ kind: 'current' }] });
  const absent = await restore('--list', '--database', 'service');
  expect(absent.stdout).toBe('There is no database, and no version of one.\n');
  const wrong = await restore('--list', '--database', '../sales');
  expect(wrong.status).toBe(1);
  expect(wrong.stderr).toContain('No database can be called ../sales.');
});

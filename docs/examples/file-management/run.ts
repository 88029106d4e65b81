import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DataverseError, reference, type UploadState } from 'dataverse-sqlite-sync/dataverse';
import { connect } from '../connect.ts';
import { Meter } from '../meter.ts';

const folder = process.env['EXAMPLE_FOLDER'] ?? '.';
const dataverse = connect();
const accounts = dataverse.table('account');
const audit = dataverse.table('new_fileaction');
const column = 'new_contract';

/** The audit trail is a table of its own: rows are only added. */
async function createAuditTable(): Promise<void> {
  const { metadata } = dataverse;
  try {
    await metadata.createTable({
      schemaName: 'new_FileAction',
      displayName: 'File action',
      displayCollectionName: 'File actions',
      primaryColumn: { schemaName: 'new_Name', displayName: 'File name' },
      ownership: 'OrganizationOwned',
      columns: [
        { type: 'text', schemaName: 'new_Action', displayName: 'Action' },
        { type: 'text', schemaName: 'new_State', displayName: 'State' },
        { type: 'text', schemaName: 'new_Sha256', displayName: 'SHA-256' },
        { type: 'bigint', schemaName: 'new_Bytes', displayName: 'Bytes' },
      ],
    });
    await metadata.createLookup({
      schemaName: 'new_account_fileaction',
      from: 'new_fileaction',
      to: 'account',
      column: { schemaName: 'new_AccountId', displayName: 'Account' },
    });
    await metadata.publish({ tables: ['new_fileaction'] });
  } catch (error) {
    const exists = error instanceof DataverseError && /already|exist|duplicate/i.test(error.message);
    if (!exists) throw error;
  }
}

/**
 * Does an action between two writes of its audit row: `begun` before it, `done` or `failed` after it. An action that died
 * stays `begun`, so no action is missing from the trail.
 */
async function audited<T>(
  action: 'upload' | 'download' | 'delete',
  of: { auditId: string; accountId: string; name: string },
  work: () => Promise<{ result: T; sha256?: string; bytes?: number }>,
): Promise<T> {
  const { auditId, accountId, name } = of;
  await audit.upsert(auditId, {
    new_name: name,
    new_action: action,
    new_state: 'begun',
    new_AccountId: reference('accounts', accountId),
  });
  try {
    const { result, sha256 = null, bytes = null } = await work();
    await audit.update(auditId, { new_state: 'done', new_sha256: sha256, new_bytes: bytes });
    return result;
  } catch (error) {
    await audit.update(auditId, { new_state: 'failed' });
    throw error;
  }
}

/** What an upload needs to go on after a crash; on disk beside the file. */
interface Job {
  auditId: string;
  state?: UploadState;
}

async function replaceFile(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
}

async function upload(accountId: string, path: string, name: string): Promise<void> {
  const jobFile = `${path}.upload.json`;
  const job: Job = await readFile(jobFile, 'utf8').then(
    (text) => JSON.parse(text) as Job,
    () => ({ auditId: randomUUID() }),
  );
  if (job.state !== undefined) console.log(`resuming with ${job.state.blocks.length} chunks done`);
  await replaceFile(jobFile, JSON.stringify(job));
  await audited('upload', { auditId: job.auditId, accountId, name }, async () => {
    const bytes = await readFile(path);
    let saving = Promise.resolve();
    await accounts.file(accountId, column).upload(name, bytes, {
      mimeType: 'application/pdf',
      chunkBytes: 1024 * 1024,
      resume: job.state,
      onState: (state) => {
        saving = saving.then(() => replaceFile(jobFile, JSON.stringify({ ...job, state })));
        // For the test of the recovery: the process dies in the middle of the file.
        if (state.blocks.length === Number(process.env['EXAMPLE_DIE_AT'])) {
          void saving.then(() => process.exit(137));
        }
      },
    });
    await saving;
    return {
      result: undefined,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      bytes: bytes.length,
    };
  });
  await unlink(jobFile);
}

/** Writes chunks to disk as they come, and checks the sum that the upload left in the trail. */
async function download(accountId: string, path: string, name: string, sha256: string): Promise<void> {
  const of = { auditId: randomUUID(), accountId, name };
  await audited('download', of, async () => {
    const file = await open(`${path}.part`, 'w');
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const chunk of accounts.file(accountId, column).download({ chunkBytes: 1024 * 1024 })) {
      hash.update(chunk);
      bytes += chunk.length;
      await file.write(chunk);
    }
    await file.close();
    const found = hash.digest('hex');
    if (found !== sha256) throw new Error(`${name} has another SHA-256 than the upload.`);
    await rename(`${path}.part`, path);
    return { result: undefined, sha256: found, bytes };
  });
}

const source = join(folder, 'contract.pdf');
const idFile = join(folder, 'account.txt');
await createAuditTable();
if ((await stat(source).catch(() => undefined)) === undefined) {
  await writeFile(source, randomBytes(6 * 1024 * 1024));
  await writeFile(idFile, await accounts.create({ name: 'With a contract' }));
}
const accountId = await readFile(idFile, 'utf8');
const meter = new Meter();
await upload(accountId, source, 'contract.pdf');
const sent = meter.take();
const hash = createHash('sha256');
for await (const chunk of createReadStream(source)) hash.update(chunk as Buffer);
await download(accountId, join(folder, 'copy.pdf'), 'contract.pdf', hash.digest('hex'));
const received = meter.take();
const megabytes = (await stat(source)).size / 1024 / 1024;
console.log(`upload: ${sent.requests} requests, ${(megabytes / sent.seconds).toFixed(1)} MiB/s`);
console.log(`download: ${received.requests} requests, ${(megabytes / received.seconds).toFixed(1)} MiB/s`);
const trail = await audit
  .query()
  .select('new_action', 'new_state', 'new_bytes')
  .where((f) => f.eq('_new_accountid_value', accountId))
  .toArray();
for (const row of trail) console.log('audit', row['new_action'], row['new_state'], row['new_bytes']);

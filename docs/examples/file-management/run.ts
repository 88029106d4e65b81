import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NotFoundError, RequestError, reference, type UploadState } from 'dataverse-sqlite-sync/dataverse';
import { connect } from '../connect.ts';
import { Meter } from '../meter.ts';

const folder = process.env['EXAMPLE_FOLDER'] ?? '.';
const dataverse = connect();
const accounts = dataverse.table('account');
const audit = dataverse.table('new_fileaction');
const column = 'new_contract';

/** Creates something unless it is there, also if an earlier start died in between or another one is faster. */
async function ensure(read: () => Promise<unknown>, create: () => Promise<void>): Promise<void> {
  const isThere = async () => {
    try {
      await read();
      return true;
    } catch (error) {
      if (error instanceof NotFoundError) return false;
      throw error;
    }
  };
  if (await isThere()) return;
  try {
    await create();
  } catch (error) {
    if (!(await isThere())) throw error;
  }
}

/** The audit trail is a table of its own, with a row for each action. */
async function ensureAuditTable(): Promise<void> {
  const { metadata } = dataverse;
  await ensure(
    () => metadata.readTable('new_fileaction', { select: ['LogicalName'] }),
    () =>
      metadata.createTable({
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
      }),
  );
  await ensure(
    () => metadata.readColumn('new_fileaction', 'new_accountid', { select: ['LogicalName'] }),
    async () => {
      await metadata.createLookup({
        schemaName: 'new_account_fileaction',
        from: 'new_fileaction',
        to: 'account',
        column: { schemaName: 'new_AccountId', displayName: 'Account' },
      });
      await metadata.publish({ tables: ['new_fileaction'] });
    },
  );
}

/**
 * Does an action between two writes of its audit row: `begun` before it, `done` or `failed` after it. An action that died
 * stays `begun`, and so does one whose second write fails, so no action is missing from the trail.
 */
async function audited(
  action: 'upload' | 'download' | 'delete',
  of: { auditId: string; accountId: string; name: string },
  work: () => Promise<{ sha256: string; bytes: number }>,
): Promise<void> {
  const { auditId, accountId, name } = of;
  await audit.upsert(auditId, {
    new_name: name,
    new_action: action,
    new_state: 'begun',
    new_AccountId: reference('accounts', accountId),
  });
  let done: { sha256: string; bytes: number };
  try {
    done = await work();
  } catch (error) {
    // The error of the action is the one to report.
    await audit.update(auditId, { new_state: 'failed' }).catch((other: Error) => {
      console.error(`The audit row ${auditId} stays begun: ${other.message}`);
    });
    throw error;
  }
  await audit.update(auditId, { new_state: 'done', new_sha256: done.sha256, new_bytes: done.bytes });
}

/** What an upload needs to go on after a crash; on disk beside the file. */
interface Job {
  auditId: string;
  state?: UploadState;
}

async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  await writeFile(`${path}.new`, content);
  await rename(`${path}.new`, path);
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function upload(accountId: string, path: string, name: string): Promise<void> {
  const jobFile = `${path}.upload.json`;
  const stored = await readText(jobFile);
  const job: Job = stored === undefined ? { auditId: randomUUID() } : (JSON.parse(stored) as Job);
  const bytes = await readFile(path);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (stored === undefined) await replaceFile(jobFile, JSON.stringify(job));
  else if (await isUploaded(job, sha256)) return unlink(jobFile);
  if (job.state !== undefined) console.log(`resuming with ${job.state.blocks.length} chunks done`);
  await audited('upload', { auditId: job.auditId, accountId, name }, async () => {
    try {
      await send(job.state);
    } catch (error) {
      // Dataverse forgets an upload after some time, and once it is complete.
      if (job.state === undefined || !(error instanceof RequestError || error instanceof NotFoundError))
        throw error;
      console.log(`beginning anew: ${error.message}`);
      await send(undefined);
    }
    return { sha256, bytes: bytes.length };
  });
  await unlink(jobFile);

  async function send(resume: UploadState | undefined): Promise<void> {
    let saving = Promise.resolve();
    await accounts.file(accountId, column).upload(name, bytes, {
      mimeType: 'application/pdf',
      chunkBytes: 1024 * 1024,
      resume,
      onState: (state) => {
        saving = saving.then(() => replaceFile(jobFile, JSON.stringify({ ...job, state })));
        // For the test of the recovery: the process dies in the middle of the file.
        if (state.blocks.length === Number(process.env['EXAMPLE_DIE_AT'])) {
          void saving.then(() => process.exit(137));
        }
      },
    });
    await saving;
  }
}

/** Whether the trail says that the upload is done: the process died after that and before it deleted its job. */
async function isUploaded({ auditId }: Job, sha256: string): Promise<boolean> {
  const row = await audit.retrieve(auditId, { select: ['new_state', 'new_sha256'] });
  return row?.['new_state'] === 'done' && row['new_sha256'] === sha256;
}

/** Writes chunks to disk as they come, and checks the sum that the upload left in the trail. */
async function download(accountId: string, path: string, name: string, sha256: string): Promise<void> {
  const of = { auditId: randomUUID(), accountId, name };
  await audited('download', of, async () => {
    const hash = createHash('sha256');
    let bytes = 0;
    const file = await open(`${path}.part`, 'w');
    try {
      for await (const chunk of accounts.file(accountId, column).download({ chunkBytes: 1024 * 1024 })) {
        hash.update(chunk);
        bytes += chunk.length;
        await file.write(chunk);
      }
    } finally {
      await file.close();
    }
    const found = hash.digest('hex');
    if (found !== sha256) throw new Error(`${name} has another SHA-256 than the upload.`);
    await rename(`${path}.part`, path);
    return { sha256: found, bytes };
  });
}

const source = join(folder, 'contract.pdf');
const idFile = join(folder, 'account.txt');
await ensureAuditTable();
// The id is stored before the account exists, so that an earlier start that died in between leaves no second account.
const accountId = (await readText(idFile)) ?? randomUUID();
await replaceFile(idFile, accountId);
await accounts.upsert(accountId, { name: 'With a contract' });
if ((await stat(source).catch(() => undefined)) === undefined) {
  await replaceFile(source, randomBytes(6 * 1024 * 1024));
}
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

import { createHash, randomUUID } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ChangeTrackingError } from 'dataverse-sqlite-sync/dataverse';
import { connect } from '../connect.ts';
import { Meter } from '../meter.ts';

const folder = process.env['EXAMPLE_FOLDER'] ?? '.';
const stateFile = join(folder, 'job.json');
const dataverse = connect();
const accounts = dataverse.table('account');
const tasks = dataverse.table('task');
const select = ['name', 'creditonhold'];

/** What the job knows between two runs. */
interface JobState {
  /** Up to where all changes are processed. */
  token: string;
  finishedAt: string;
}

async function readState(): Promise<JobState | undefined> {
  try {
    return JSON.parse(await readFile(stateFile, 'utf8')) as JobState;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Replaces the file as a whole, so that a crash leaves the old state or the new one. Two runs at the same time write their own
 * temporary files; the last one to end decides, and the next run reads a change again at worst.
 */
async function writeState(state: JobState): Promise<void> {
  const temporary = `${stateFile}.${randomUUID()}`;
  await writeFile(temporary, JSON.stringify(state));
  await rename(temporary, stateFile);
}

/** An account has one task, whose id follows from the account's. A change that comes twice writes the same task. */
function taskIdOf(accountId: string): string {
  const hex = createHash('sha256').update(`credit ${accountId}`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

let processed = 0;

/** The work of the job: a task for each account whose credit is on hold. */
async function writeTasks(rows: readonly Record<string, unknown>[]): Promise<void> {
  const due = rows.filter((row) => row['creditonhold'] === true);
  const { failed } = await tasks.upsertMany(
    due.map((row) => ({
      key: taskIdOf(String(row['accountid'])),
      values: { subject: `Review the credit of ${row['name'] ?? 'an account'}`.slice(0, 200) },
    })),
  );
  // The token stays where it was, and the next run processes these changes again.
  if (failed.length > 0)
    throw new Error(`${failed.length} tasks failed: ${(failed[0]!.reason as Error).message}`);
  processed += due.length;
}

/** @returns the token behind the last change */
async function processChanges(since: string | undefined): Promise<string> {
  const changes = accounts.changes({ select, since, pageSize: 100 });
  let pages = 0;
  for await (const page of changes.pages()) {
    await writeTasks(page.flatMap((change) => (change.kind === 'upserted' ? [change.row] : [])));
    pages += 1;
    // For the test of the recovery: the process dies in the middle of the changes.
    if (process.env['EXAMPLE_DIE_AT'] === String(pages)) process.exit(137);
  }
  return changes.token;
}

const meter = new Meter();
const state = await readState();
let token: string;
try {
  token = await processChanges(state?.token);
} catch (error) {
  // After a week without a run. All rows are read, and writing a task again changes nothing.
  if (!(error instanceof ChangeTrackingError) || error.reason !== 'expired') throw error;
  console.log(`reading all rows: ${error.message}`);
  token = await processChanges(undefined);
}
await writeState({ token, finishedAt: new Date().toISOString() });
const { requests, seconds } = meter.take();
console.log(`${processed} tasks written: ${requests} requests, ${seconds.toFixed(2)} seconds`);

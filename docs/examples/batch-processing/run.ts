import { createHash } from 'node:crypto';
import { appendFile, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  DataverseError,
  DuplicateError,
  NotFoundError,
  RequestError,
  ThrottlingError,
  UsageError,
} from 'dataverse-sqlite-sync/dataverse';
import { connect } from '../connect.ts';
import { Meter } from '../meter.ts';

const folder = process.env['EXAMPLE_FOLDER'] ?? '.';
const progressFile = join(folder, 'progress.json');
const rejectedFile = join(folder, 'rejected.jsonl');
const rowsInInput = Number(process.env['EXAMPLE_ROWS'] ?? 5_000);
const chunkRows = 1_000;
const leads = connect().table('lead');

interface InputRow {
  number: number;
  subject: string;
  /** As the supplier sent it: now and then not a number. */
  amount: string;
}

/** The input: a file of a supplier. Every 500th row is invalid. */
function* inputRows(): Generator<InputRow> {
  for (let number = 0; number < rowsInInput; number++) {
    const amount = number % 500 === 7 ? 'much' : (number * 1.25).toFixed(2);
    yield { number, subject: `Lead ${number}`, amount };
  }
}

/** The same input row always has the same id, so that a chunk that is sent twice creates nothing twice. */
function idOf({ number }: InputRow): string {
  const hex = createHash('sha256').update(`supplier-7 ${number}`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** A text that is no number goes as it is: Dataverse says what is wrong with it. */
function amountOf({ amount }: InputRow): number | string {
  return Number.isNaN(Number(amount)) ? amount : Number(amount);
}

async function readProgress(): Promise<number> {
  try {
    return (JSON.parse(await readFile(progressFile, 'utf8')) as { done: number }).done;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}

/** Replaces the file as a whole, so that a crash leaves the old one or the new one. */
async function writeProgress(done: number): Promise<void> {
  await writeFile(`${progressFile}.new`, JSON.stringify({ done }));
  await rename(`${progressFile}.new`, progressFile);
}

/** Whether an error is the fault of its row: another value in it, and the row could be written. */
function isFaultOfRow(error: unknown): boolean {
  const kinds = [RequestError, DuplicateError, NotFoundError, UsageError];
  return kinds.some((kind) => error instanceof kind);
}

/**
 * Whether the same row may be written when it is sent again. Not after throttling: the client has waited as long as Dataverse
 * asked, up to its own limit, so the next start continues.
 */
function mayPass(error: unknown): boolean {
  if (!(error instanceof DataverseError) || error instanceof ThrottlingError) return false;
  return error.maybeExecuted || error.isTransient;
}

/** Writes a chunk. Rows that Dataverse rejects go to a file with the reason; all others are written. */
async function writeChunk(chunk: readonly InputRow[]): Promise<{ written: number; rejected: number }> {
  let open = [...chunk];
  let written = 0;
  const rejected: string[] = [];
  for (let attempt = 1; open.length > 0; attempt++) {
    const { outcomes } = await leads.upsertMany(
      open.map((row) => ({
        key: idOf(row),
        values: { subject: row.subject, estimatedamount: amountOf(row) },
      })),
    );
    const again: InputRow[] = [];
    for (const [index, outcome] of outcomes.entries()) {
      const row = open[index]!;
      if (outcome.status === 'fulfilled') written += 1;
      else if (outcome.status === 'skipped' || mayPass(outcome.reason)) again.push(row);
      else if (isFaultOfRow(outcome.reason))
        rejected.push(JSON.stringify({ ...row, reason: (outcome.reason as Error).message }));
      // A missing privilege, a token that is not accepted: no row is at fault, and the chunk is not done.
      else throw outcome.reason;
    }
    // Not a fault of the rows: the client has retried for minutes. The next start goes on with this chunk.
    if (again.length > 0 && attempt === 3) throw new Error(`${again.length} rows could not be sent.`);
    open = again;
  }
  if (rejected.length > 0) await appendFile(rejectedFile, `${rejected.join('\n')}\n`);
  return { written, rejected: rejected.length };
}

const meter = new Meter();
const skip = await readProgress();
console.log(`starting at row ${skip}`);
let done = skip;
let written = 0;
let rejected = 0;
let chunk: InputRow[] = [];
const flush = async () => {
  const result = await writeChunk(chunk);
  written += result.written;
  rejected += result.rejected;
  // For the test of the recovery: the process dies after the write and before the note.
  if (process.env['EXAMPLE_DIE_AT'] === String(done)) process.exit(137);
  await writeProgress(done);
  chunk = [];
};
for (const row of inputRows()) {
  if (row.number < skip) continue;
  chunk.push(row);
  done = row.number + 1;
  if (chunk.length === chunkRows) await flush();
}
if (chunk.length > 0) await flush();
const { requests, seconds } = meter.take();
console.log(`${written} written, ${rejected} rejected: ${requests} requests`);
if (written > 0) console.log(`${(written / seconds).toFixed(0)} rows a second`);

import { dirname, join, resolve } from 'node:path';
import { BlobServiceClient } from '@azure/storage-blob';
import { describeError } from '../errors.ts';
import { printableJson } from '../safe-text.ts';
import { databaseFileOf, databaseNameOf } from '../storage/database/database-names.ts';
import type { RunStatus } from '../sync/run/run-status.ts';
import { type CheckReport, checkLines } from '../terminal/check-report.ts';
import { formatBytes } from '../terminal/format.ts';
import { openCommand } from '../terminal/open-command.ts';
import { createProgress, NoProgress, type Progress } from '../terminal/progress.ts';
import { isOver, isSuccess } from '../terminal/run-outcome.ts';
import { reportJson, reportLines } from '../terminal/run-report.ts';
import { DatabaseCopies, DatabaseCopy } from './data-folder/database-copy.ts';
import { type LocalEnvironment, startLocalEnvironment } from './local-environment.ts';
import type { StartOptions } from './start-options.ts';
import { SyncClient } from './sync-client.ts';
import { TerminalLog } from './terminal/terminal-log.ts';

/** The exit status after Ctrl-C before the first sync is complete. */
const INTERRUPTED = 130;
const STOPPING = 'Stopping … (press Ctrl-C again to exit immediately)';

/**
 * `npm start`: starts all parts, runs a first sync, prints its result and, without `--once`, keeps syncing on
 * schedule until `stop` aborts. Returns the exit status.
 *
 * @throws ConfigurationError or RetriableError with a hint for the user
 */
export async function runLocally(appRoot: string, options: StartOptions, stop: AbortSignal): Promise<number> {
  // With --json, standard output carries only the JSON line.
  const terminal = options.json ? process.stderr : process.stdout;
  const progress = options.quiet ? new NoProgress(terminal) : createProgress(terminal);
  const say = options.quiet ? () => undefined : (text: string) => progress.line(text);
  await using parts = new AsyncDisposableStack();

  say('Starting …');
  const log = new TerminalLog();
  const environment = await startLocalEnvironment(appRoot, options, parts, (entry) => {
    const line = log.lineOf(entry);
    if (line !== undefined) say(line);
  });
  if (stop.aborted) return INTERRUPTED;
  try {
    if (options.check) return await runChecks(environment, options, (line) => progress.line(line), stop);
    return await runSyncs(environment, options, progress, say, stop);
  } catch (error) {
    // Ctrl-C ended a request.
    if (stop.aborted) {
      say(STOPPING);
      return INTERRUPTED;
    }
    progress.line(`Log        ${environment.logFile}`);
    throw error;
  }
}

/** Prints what `GET /api/check` finds. */
async function runChecks(
  { host, source, dataverseUrl }: LocalEnvironment,
  { json }: StartOptions,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<number> {
  say(`Checking ${source.identity} (${dataverseUrl})`);
  const headers = { 'x-functions-key': host.functionKey };
  const response = await fetch(`${host.url}/api/check`, { headers, signal });
  const report = (await response.json()) as CheckReport;
  for (const line of checkLines(report)) say(line);
  if (json) process.stdout.write(`${printableJson(report)}\n`);
  return report.ok ? 0 : 1;
}

/** Runs the first sync and prints its result; then, without `--once`, waits for `stop` and reports each further sync. */
async function runSyncs(
  environment: LocalEnvironment,
  options: StartOptions,
  progress: Progress,
  say: (text: string) => void,
  stop: AbortSignal,
): Promise<number> {
  const stopped = new Promise<undefined>((done) => stop.addEventListener('abort', () => done(undefined)));
  const { host, source, dataverseUrl, defaultTables } = environment;
  say(`Reading ${source.identity} (${dataverseUrl})`);
  for (const warning of environment.warnings) progress.line(`Warning: ${warning}`);
  if (defaultTables !== undefined) {
    const count = defaultTables.length;
    say(
      `Tables: the first ${count} that have a modifiedon column; use --entities to choose others: ${defaultTables.join(', ')}`,
    );
  }

  const file = join(environment.dataFolder, 'dataverse.db');
  const out = options.out === undefined ? undefined : resolve(options.out);
  const { postgres } = environment;
  const copies = new DatabaseCopies(databaseNameOf(blobName(environment)), (name) => {
    const of = (path: string) => (name === undefined ? path : join(dirname(path), `${name}.db`));
    const files = out === undefined ? [of(file)] : [of(file), of(out)];
    return new DatabaseCopy(databaseBlob(environment, name), files);
  });
  /** A mirror in PostgreSQL needs no copy: everybody can read it there. */
  const update = async (run: RunStatus) => {
    if (postgres === undefined) await copies.update(run);
  };
  const client = new SyncClient(host.url, host.functionKey, stop);
  const start = () => client.start({ allowMassDelete: options.allowMassDelete, reread: options.reread });
  const follow = async (runId: string) => {
    const status = await Promise.race([client.follow(runId, (seen) => progress.show(seen)), stopped]);
    progress.end();
    return status;
  };
  let run = await start();
  let status = await follow(run.runId);
  if (!run.fresh && status?.phase === 'complete') {
    // The rows that were read before the interruption may be out of date.
    say('The interrupted sync is complete. Another sync reads the changes made since it started.');
    run = await start();
    status = await follow(run.runId);
  }
  if (status === undefined) {
    say(STOPPING);
    return INTERRUPTED;
  }
  await update(status);

  for (const line of reportLines(status, postgres === undefined)) progress.line(line);
  const success = isSuccess(status);
  if (!success) progress.line(`Log        ${environment.logFile}`);
  if (options.json && postgres !== undefined) {
    const at = { file: postgres.place, bytes: status.database?.bytes ?? 0 };
    process.stdout.write(`${reportJson(status, at)}\n`);
  } else if (options.json) {
    const { bytes } = copies.all[0]!;
    const others = copies.all.slice(1).map((copy) => ({ file: copy.file, bytes: copy.bytes }));
    process.stdout.write(`${reportJson(status, { file: out ?? file, bytes }, others)}\n`);
  }
  if (status.phase !== 'complete') return 1;
  if (postgres !== undefined) {
    progress.line(`Database   ${postgres.place}`);
    // The server ends with this command.
    progress.line(`Open it    ${options.once ? 'start it without --once' : postgres.command}`);
  } else showFiles(copies, out ?? file, (line) => progress.line(line));
  if (options.once) return success ? 0 : 1;

  progress.line(`Pages      ${host.url}/api/dashboard#key=${host.functionKey}`);
  progress.line(`Status     ${host.url}/api/sync?code=${host.functionKey}`);
  progress.line(`Dataverse  ${dataverseUrl}`);
  const schedule = environment.settings['SYNC_SCHEDULE'];
  progress.line(`Further syncs run on the schedule ${schedule} (UTC). Press Ctrl-C to stop.`);
  reportFurtherRuns(environment, client, update, run.runId, (line) => progress.line(line), stop);
  await stopped;
  say(STOPPING);
  return 0;
}

function showFiles(copies: DatabaseCopies, file: string, say: (line: string) => void): void {
  // The default database does not exist if every table is in another one.
  const shown = copies.all.filter(
    ({ bytes }, index) => bytes > 0 || (index === 0 && copies.all.length === 1),
  );
  for (const copy of shown) say(`Database   ${copy.file} (${formatBytes(copy.bytes)})`);
  say(`Open it    ${openCommand(shown[0]?.file ?? file)}`);
}

function blobName({ settings }: LocalEnvironment): string {
  return settings['SYNC_DATABASE_NAME'] || 'dataverse.db';
}

function databaseBlob(environment: LocalEnvironment, name: string | undefined) {
  const { connectionString, settings } = environment;
  return BlobServiceClient.fromConnectionString(connectionString)
    .getContainerClient(settings['SYNC_DATABASE_CONTAINER'] || 'dataverse')
    .getBlobClient(databaseFileOf(blobName(environment), name));
}

/** After each further run, prints its totals. @param update brings the copies of the database up to date */
function reportFurtherRuns(
  { host, logFile, postgres }: LocalEnvironment,
  client: SyncClient,
  update: (run: RunStatus) => Promise<void>,
  lastRunId: string,
  say: (line: string) => void,
  stop: AbortSignal,
): void {
  let reported = lastRunId;
  let checks = Promise.resolve();
  const check = async () => {
    const runs = await client.runs();
    const at = runs.findIndex(({ runId }) => runId === reported);
    // More than one run can have ended since the last check. They are listed newest first.
    const ended = runs.slice(0, at < 0 ? 1 : at).filter(isOver);
    for (const run of ended.reverse()) {
      reported = run.runId;
      for (const line of reportLines(run, postgres === undefined)) say(line);
      if (!isSuccess(run)) say(`Log        ${logFile}`);
    }
    if (ended.length > 0) await update(ended.at(-1)!);
  };
  host.onInvocation(({ state, functionName }) => {
    // The check itself invokes syncStatus.
    if (state === 'started' || functionName === 'syncStatus' || stop.aborted) return;
    checks = checks.then(check).catch((error: unknown) => {
      // After Ctrl-C, the host answers no request. If a file cannot be written now, the next run writes it again.
      if (!stop.aborted) say(`  ${describeError(error).message}`);
    });
  });
}

import { join, resolve } from 'node:path';
import { BlobServiceClient } from '@azure/storage-blob';
import { describeError } from '../errors.ts';
import { DatabaseCopy } from './data-folder/database-copy.ts';
import type { LogEntry } from './functions-host/host.ts';
import { type LocalEnvironment, startLocalEnvironment } from './local-environment.ts';
import { isOver, isSuccess } from './run-outcome.ts';
import type { StartOptions } from './start-options.ts';
import { SyncClient } from './sync-client.ts';
import { formatBytes } from './terminal/format.ts';
import { openCommand } from './terminal/open-command.ts';
import { createProgress, NoProgress } from './terminal/progress.ts';
import { reportJson, reportLines } from './terminal/run-report.ts';

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
  const environment = await startLocalEnvironment(appRoot, options, parts, (entry) => {
    const line = logLine(entry);
    if (line !== undefined) say(line);
  });
  if (stop.aborted) return INTERRUPTED;
  const stopped = new Promise<undefined>((done) => stop.addEventListener('abort', () => done(undefined)));
  const { host, source, dataverseUrl, defaultTables } = environment;
  say(`Reading ${source.identity} (${dataverseUrl})`);
  if (defaultTables !== undefined) {
    const count = defaultTables.length;
    say(
      `Tables: the first ${count} that have a modifiedon column; use --entities to choose others: ${defaultTables.join(', ')}`,
    );
  }

  const file = join(environment.dataFolder, 'dataverse.db');
  const out = options.out === undefined ? undefined : resolve(options.out);
  const copy = new DatabaseCopy(databaseBlob(environment), out === undefined ? [file] : [file, out]);
  const client = new SyncClient(host.url, host.functionKey);
  const follow = async (runId: string) => {
    const status = await Promise.race([client.follow(runId, (seen) => progress.show(seen)), stopped]);
    progress.end();
    return status;
  };
  let run = await client.start();
  let status = await follow(run.runId);
  if (!run.fresh && status?.phase === 'complete') {
    // The rows that were read before the interruption may be out of date.
    say('The interrupted sync is complete. Another sync reads the changes made since it started.');
    run = await client.start();
    status = await follow(run.runId);
  }
  if (status === undefined) {
    say(STOPPING);
    return INTERRUPTED;
  }
  await copy.update();

  for (const line of reportLines(status)) progress.line(line);
  const success = isSuccess(status);
  if (!success) progress.line(`Log        ${environment.logFile}`);
  if (options.json) process.stdout.write(`${reportJson(status, { file: out ?? file, bytes: copy.bytes })}\n`);
  if (status.phase !== 'complete') return 1;
  progress.line(`Database   ${out ?? file} (${formatBytes(copy.bytes)})`);
  progress.line(`Open it    ${openCommand(out ?? file)}`);
  if (options.once) return success ? 0 : 1;

  progress.line(`Status     ${host.url}/api/sync?code=${host.functionKey}`);
  progress.line(`Dataverse  ${dataverseUrl}`);
  const schedule = environment.settings['SYNC_SCHEDULE'];
  progress.line(`Further syncs run on the schedule ${schedule} (UTC). Press Ctrl-C to stop.`);
  reportFurtherRuns(environment, client, copy, run.runId, (line) => progress.line(line));
  await stopped;
  say(STOPPING);
  return 0;
}

/**
 * The line that the terminal shows for a log entry: warnings and errors only. Those of the function syncStart are
 * left out, because its HTTP response says the same.
 */
function logLine({ level, category, message }: LogEntry): string | undefined {
  if (level !== 'warning' && level !== 'error' && level !== 'critical') return undefined;
  if (category.startsWith('Function.syncStart')) return undefined;
  const name = category.replace(/^Function\.|\.User$/g, '');
  // The log file has the other lines and the fields at the end.
  return `  ${level} in ${name}: ${message.split('\n')[0]!.replace(/ \[\w+=.*\]$/, '')}`;
}

function databaseBlob({ connectionString, settings }: LocalEnvironment) {
  return BlobServiceClient.fromConnectionString(connectionString)
    .getContainerClient(settings['SYNC_DATABASE_CONTAINER'] || 'dataverse')
    .getBlobClient(settings['SYNC_DATABASE_NAME'] || 'dataverse.db');
}

/** After each further run, prints its totals and updates the copies of the database. */
function reportFurtherRuns(
  { host }: LocalEnvironment,
  client: SyncClient,
  copy: DatabaseCopy,
  lastRunId: string,
  say: (line: string) => void,
): void {
  let reported = lastRunId;
  let checks = Promise.resolve();
  const check = async () => {
    const latest = await client.latest();
    if (latest === undefined || latest.runId === reported || !isOver(latest)) return;
    reported = latest.runId;
    for (const line of reportLines(latest)) say(line);
    await copy.update();
  };
  host.onInvocation(({ state, functionName }) => {
    // The check itself invokes syncStatus.
    if (state === 'started' || functionName === 'syncStatus') return;
    // If a file cannot be written now, say so; the next run writes it again.
    checks = checks.then(check).catch((error) => say(`  ${describeError(error).message}`));
  });
}

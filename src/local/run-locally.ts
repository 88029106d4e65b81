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

/** The exit status of a process that Ctrl-C ended before its work was done. */
const INTERRUPTED = 130;
const STOPPING = 'Stopping … (Ctrl-C again ends at once)';

/**
 * `npm start`: starts all parts, makes a first sync, shows it, and goes on by the schedule unless `--once`.
 * Returns the exit status; `stop` ends it from outside.
 *
 * @throws ConfigurationError or RetriableError with what the user can do about it.
 */
export async function runLocally(appRoot: string, options: StartOptions, stop: AbortSignal): Promise<number> {
  // With --json, standard output is for the one line alone.
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
  const { host, source, chosenTables } = environment;
  say(`Reading ${source.identity} (${environment.dataverseUrl})`);
  if (chosenTables !== undefined) {
    say(
      `The first ${chosenTables.length} tables with modifiedon (--entities names others): ${chosenTables.join(', ')}`,
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
    // What it had read before it was broken off may be old by now.
    say('The sync that was broken off is complete; another brings what changed since it began.');
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
  progress.line(`Dataverse  ${environment.dataverseUrl}`);
  progress.line(
    `The next sync comes by the schedule ${environment.settings['SYNC_SCHEDULE']} (UTC). Ctrl-C ends.`,
  );
  keepUp(environment, client, copy, run.runId, (line) => progress.line(line));
  await stopped;
  say(STOPPING);
  return 0;
}

/** What of the app's log a person sees: warnings and errors, but not what the answer to the start tells anyway. */
function logLine({ level, category, message }: LogEntry): string | undefined {
  if (level !== 'warning' && level !== 'error' && level !== 'critical') return undefined;
  if (category.startsWith('Function.syncStart')) return undefined;
  const name = category.replace(/^Function\.|\.User$/g, '');
  // The fields at the end are in the log file.
  return `  ${level} in ${name}: ${message.split('\n')[0]!.replace(/ \[\w+=.*\]$/, '')}`;
}

function databaseBlob({ connectionString, settings }: LocalEnvironment) {
  return BlobServiceClient.fromConnectionString(connectionString)
    .getContainerClient(settings['SYNC_DATABASE_CONTAINER'] || 'dataverse')
    .getBlobClient(settings['SYNC_DATABASE_NAME'] || 'dataverse.db');
}

/** After each further sync: the files are brought up to date, and its totals are told. */
function keepUp(
  { host }: LocalEnvironment,
  client: SyncClient,
  copy: DatabaseCopy,
  lastRunId: string,
  say: (line: string) => void,
): void {
  let told = lastRunId;
  let looks = Promise.resolve();
  const look = async () => {
    const latest = await client.latest();
    if (latest === undefined || latest.runId === told || !isOver(latest)) return;
    told = latest.runId;
    for (const line of reportLines(latest)) say(line);
    await copy.update();
  };
  host.onInvocation(({ state, functionName }) => {
    // A look is an invocation too.
    if (state === 'started' || functionName === 'syncStatus') return;
    // The next sync may go better: a file that cannot be written now is told, and tried again then.
    looks = looks.then(look).catch((error) => say(`  ${describeError(error).message}`));
  });
}

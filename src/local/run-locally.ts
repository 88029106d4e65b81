import { describeError } from '../errors.ts';
import { printableJson } from '../safe-text.ts';
import type { RunStatus } from '../sync/run/run-status.ts';
import { type CheckReport, checkLines } from '../terminal/check-report.ts';
import { createProgress, NoProgress, type Progress } from '../terminal/progress.ts';
import { isOver, isSuccess } from '../terminal/run-outcome.ts';
import { reportJson, reportLines } from '../terminal/run-report.ts';
import { type LocalEnvironment, startLocalEnvironment } from './local-environment.ts';
import { LocalMirror } from './local-mirror.ts';
import type { StartOptions } from './start-options.ts';
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

/** Runs the first syncs and prints their results; then, without `--once`, waits for `stop` and reports each further sync. */
async function runSyncs(
  environment: LocalEnvironment,
  options: StartOptions,
  progress: Progress,
  say: (text: string) => void,
  stop: AbortSignal,
): Promise<number> {
  const stopped = new Promise<undefined>((done) => stop.addEventListener('abort', () => done(undefined)));
  const { host, source, dataverseUrl, defaultTables, others, postgres } = environment;
  say(`Reading ${source.identity} (${dataverseUrl})`);
  for (const warning of environment.warnings) progress.line(`Warning: ${warning}`);
  if (defaultTables !== undefined) {
    const count = defaultTables.length;
    say(
      `Tables: the first ${count} that have a modifiedon column; use --entities to choose others: ${defaultTables.join(', ')}`,
    );
  }
  const mirrors = [undefined, ...others].map((one) => new LocalMirror(one?.name, environment, options, stop));
  const synced: { mirror: LocalMirror; runId: string }[] = [];
  let success = true;
  for (const [at, mirror] of mirrors.entries()) {
    if (at > 0) say(`Reading environment ${mirror.name} (${others[at - 1]!.dataverseUrl})`);
    const status = await firstSync(mirror, options, progress, say, stopped);
    if (status === undefined) {
      say(STOPPING);
      return INTERRUPTED;
    }
    await mirror.update(status);
    for (const line of reportLines(status, postgres === undefined)) progress.line(line);
    if (!isSuccess(status)) progress.line(`Log        ${environment.logFile}`);
    success &&= isSuccess(status);
    if (options.json) printJson(status, mirror, postgres);
    if (status.phase === 'complete') {
      for (const line of mirror.where(options.once)) progress.line(line);
    } else if (mirrors.length === 1) return 1;
    synced.push({ mirror, runId: status.runId });
  }
  if (options.once) return success ? 0 : 1;

  for (const { root, name } of mirrors) {
    const end = name === undefined ? '' : `  (${name})`;
    progress.line(`Pages      ${root}/dashboard#key=${host.functionKey}${end}`);
  }
  progress.line(`Status     ${host.url}/api/sync?code=${host.functionKey}`);
  progress.line(`Dataverse  ${dataverseUrl}`);
  const schedule = environment.settings['SYNC_SCHEDULE'];
  progress.line(`Further syncs run on the schedule ${schedule} (UTC). Press Ctrl-C to stop.`);
  for (const one of synced) reportFurtherRuns(environment, one, (line) => progress.line(line), stop);
  await stopped;
  say(STOPPING);
  return 0;
}

/** The first sync of a mirror, or the end of one that was interrupted and another. @returns undefined after Ctrl-C */
async function firstSync(
  { client }: LocalMirror,
  { allowMassDelete, reread }: StartOptions,
  progress: Progress,
  say: (text: string) => void,
  stopped: Promise<undefined>,
): Promise<RunStatus | undefined> {
  const start = () => client.start({ allowMassDelete, reread });
  const follow = async (runId: string) => {
    const status = await Promise.race([client.follow(runId, (seen) => progress.show(seen)), stopped]);
    progress.end();
    return status;
  };
  const run = await start();
  const status = await follow(run.runId);
  if (run.fresh || status?.phase !== 'complete') return status;
  // The rows that were read before the interruption may be out of date.
  say('The interrupted sync is complete. Another sync reads the changes made since it started.');
  return follow((await start()).runId);
}

function printJson(status: RunStatus, { copies, file }: LocalMirror, postgres: LocalEnvironment['postgres']) {
  if (postgres !== undefined) {
    const at = { file: postgres.place(), bytes: status.database?.bytes ?? 0 };
    process.stdout.write(`${reportJson(status, at)}\n`);
    return;
  }
  const others = copies.all.slice(1).map((copy) => ({ file: copy.file, bytes: copy.bytes }));
  process.stdout.write(`${reportJson(status, { file, bytes: copies.all[0]!.bytes }, others)}\n`);
}

/** After each further run of a mirror, prints its totals. @param first its run that is reported */
function reportFurtherRuns(
  { host, logFile, postgres }: LocalEnvironment,
  first: { mirror: LocalMirror; runId: string },
  say: (line: string) => void,
  stop: AbortSignal,
): void {
  const { mirror } = first;
  let reported = first.runId;
  let checks = Promise.resolve();
  const check = async () => {
    const runs = await mirror.client.runs();
    const at = runs.findIndex(({ runId }) => runId === reported);
    // More than one run can have ended since the last check. They are listed newest first.
    const ended = runs.slice(0, at < 0 ? 1 : at).filter(isOver);
    for (const run of ended.reverse()) {
      reported = run.runId;
      for (const line of reportLines(run, postgres === undefined)) say(`${mirror.prefix}${line}`);
      if (!isSuccess(run)) say(`Log        ${logFile}`);
    }
    if (ended.length > 0) await mirror.update(ended.at(-1)!);
  };
  host.onInvocation(({ state, functionName }) => {
    // The check itself invokes syncStatus.
    if (state === 'started' || functionName.startsWith('syncStatus') || stop.aborted) return;
    if (!mirror.has(functionName)) return;
    checks = checks.then(check).catch((error: unknown) => {
      // After Ctrl-C, the host answers no request. If a file cannot be written now, the next run writes it again.
      if (!stop.aborted) say(`  ${describeError(error).message}`);
    });
  });
}

import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ConfigurationError } from '../../errors.ts';
import { lockFolder } from '../../storage/folder/folder-lock.ts';
import type { RunStatus } from '../../sync/run/run-status.ts';
import { createTelemetry, type LogLevel } from '../../telemetry/telemetry.ts';
import { formatBytes } from '../../terminal/format.ts';
import { openCommand } from '../../terminal/open-command.ts';
import { createProgress, NoProgress, type Progress } from '../../terminal/progress.ts';
import { isSuccess } from '../../terminal/run-outcome.ts';
import { reportJson, reportLines } from '../../terminal/run-report.ts';
import { settingsOf } from '../dataverse-options.ts';
import { forCommand } from '../hint-for-command.ts';
import { linkTarget } from '../link-target.ts';
import { databasePath, LocalSync, localPaths } from './local-sync.ts';
import { parseSyncOptions, type SyncOptions } from './sync-options.ts';

/**
 * `dataverse-sqlite-sync sync`: one sync into a SQLite file, in this process alone.
 * @returns the exit status
 */
export async function sync(args: readonly string[]): Promise<number> {
  const options = parseSyncOptions(args);
  const settings = settingsOf(options.dataverse);
  // A symbolic link stays one: what it leads to is the mirror.
  const out = await linkTarget(options.out);
  await checkFolder(out);
  const paths = localPaths(out);
  const lock = await lockFolder(paths.state, out);
  try {
    // With --json, standard output carries only the JSON line.
    const terminal = options.json ? process.stderr : process.stdout;
    const progress = options.quiet ? new NoProgress(terminal) : createProgress(terminal);
    const local = await LocalSync.open(settings, options.tables, paths, telemetryOf(options, progress));
    const status = inWords(await runToTheEnd(local, options, progress), options);
    progress.end();
    const [file = { file: out, bytes: 0 }, ...others] = await filesOf(out, status);
    if (!options.quiet || !isSuccess(status)) print(status, [file, ...others], progress);
    if (options.json) process.stdout.write(`${reportJson(status, file, others)}\n`);
    return isSuccess(status) ? 0 : 1;
  } finally {
    lock.release();
  }
}

/** Completes a run that was interrupted, then reads what changed since it began. */
async function runToTheEnd(local: LocalSync, options: SyncOptions, progress: Progress): Promise<RunStatus> {
  const { allowMassDelete, reread, dropTables } = options;
  const run = () => local.run({ allowMassDelete, reread, dropTables }, (status) => progress.show(status));
  const { status, resumed } = await run();
  if (!resumed || status.phase !== 'complete') return status;
  progress.line('The interrupted sync is complete. Another sync reads the changes made since it started.');
  return (await run()).status;
}

/** What the sync says to users of a functions app, as users of the command can do it. */
function inWords(status: RunStatus, { areListed: tables }: SyncOptions): RunStatus {
  const translate = <T extends { error?: string | undefined; hint?: string | undefined }>(one: T): T => ({
    ...one,
    ...(one.error !== undefined && { error: forCommand(one.error, { tables }) }),
    ...(one.hint !== undefined && { hint: forCommand(one.hint, { tables }) }),
  });
  return { ...translate(status), entities: status.entities.map(translate) };
}

interface WrittenFile {
  file: string;
  bytes: number;
}

/** The files of the mirror that exist, the one that was named first. */
async function filesOf(out: string, { databases = {} }: RunStatus): Promise<WrittenFile[]> {
  const paths = new Set([out, ...Object.keys(databases).map((name) => databasePath(out, name))]);
  const found = await Promise.all(
    [...paths].map(async (file) => ({ file, bytes: (await stat(file).catch(() => undefined))?.size })),
  );
  return found.flatMap(({ file, bytes }) => (bytes === undefined ? [] : [{ file, bytes }]));
}

function print(status: RunStatus, files: readonly WrittenFile[], progress: Progress): void {
  for (const line of reportLines(status)) progress.line(line);
  if (status.phase !== 'complete') return;
  for (const { file, bytes } of files) {
    if (bytes === 0) continue;
    progress.line(`Database   ${file} (${formatBytes(bytes)})`);
    progress.line(`Open it    ${openCommand(file)}`);
  }
}

/** Warnings and errors are lines above the progress; the rest is for `--verbose`. */
function telemetryOf({ verbose }: SyncOptions, progress: Progress) {
  const shown: readonly LogLevel[] = verbose ? ['debug', 'info', 'warn', 'error'] : ['warn', 'error'];
  const sink = (level: LogLevel, line: string) => {
    if (shown.includes(level)) progress.line(line);
  };
  return createTelemetry(
    () => sink,
    () => undefined,
  );
}

async function checkFolder(out: string): Promise<void> {
  const folder = dirname(out);
  const found = await stat(folder).catch(() => undefined);
  if (found?.isDirectory()) return;
  throw new ConfigurationError(`The folder ${folder} does not exist.`, {
    operation: 'open the database',
    object: folder,
    hint: 'Create it, or choose another --out.',
  });
}

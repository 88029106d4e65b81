import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { availableMemory, cacheMegabytesFor } from '../../config/available-memory.ts';
import { ConfigurationError } from '../../errors.ts';
import { printable } from '../../safe-text.ts';
import { loadSqlite } from '../../sqlite/sqlite.ts';
import { lockFolder } from '../../storage/folder/folder-lock.ts';
import { FolderStore } from '../../storage/folder/folder-store.ts';
import { LocalDatabase } from '../../storage/folder/local-database.ts';
import type { CheckProgress, CheckResult } from '../../target/mirror-check.ts';
import { SqliteCheck } from '../../target/sqlite/check/sqlite-check.ts';
import { formatBytes, formatCount, plural } from '../../terminal/format.ts';
import { settingsOf } from '../dataverse-options.ts';
import { linkTarget } from '../link-target.ts';
import { databasePath, localPaths } from '../sync/local-sync.ts';
import { compareMirror, type MirrorComparison } from './compare/compare-mirror.ts';
import { comparisonJson, summaryLines, tableLines } from './compare/comparison-lines.ts';

export const verifyHelp = `Checks all of a mirror that sync has made: every page of the file, every index, the row counts that the sync keeps, and the
references whose target is absent. With --dataverse it also compares every value of every row with Dataverse.

  dataverse-sqlite-sync verify FILE [--dataverse URL] [--keys] [--database NAME] [--json]

  FILE             the file that sync was given as --out
  --dataverse URL  compare with this environment, which costs as much as a first sync; sign-in as for sync
  --keys           compare only the keys and versions of the rows, which is several times cheaper
  --database NAME  check that of tables with this "database" instead: FILE is my.db, and it checks my-NAME.db
  --json           print the result as one line of JSON
  --help

Rows that were changed in Dataverse after the sync are counted apart. The next sync corrects row counts that are wrong.
Exit status: 0 sound, and equal if compared; 1 damaged, a count is wrong, or rows differ; 2 wrong options.`;

/** A step ends after so many milliseconds, so that progress is shown. */
const stepMilliseconds = 1000;
const megabyte = 1024 * 1024;

/** `dataverse-sqlite-sync verify`. @returns the exit status */
export async function verify(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      keys: { type: 'boolean', default: false },
      database: { type: 'string' },
      dataverse: { type: 'string' },
    },
  });
  const [name, ...more] = positionals;
  if (name === undefined || more.length > 0) {
    throw new ConfigurationError('Name one file.', {
      operation: 'read the options',
      hint: 'For example: dataverse-sqlite-sync verify my.db',
    });
  }
  const { database, dataverse, keys: keysOnly } = values;
  if (keysOnly && dataverse === undefined) {
    throw new ConfigurationError('--keys is about a comparison with Dataverse.', {
      operation: 'read the options',
      hint: 'Name the environment: --dataverse https://contoso.crm.dynamics.com',
    });
  }
  const settings = dataverse === undefined ? undefined : settingsOf(dataverse);
  const main = await linkTarget(resolve(name));
  const path = databasePath(main, database);
  const paths = localPaths(main);
  const { state } = paths;
  const isThere = async (file: string) => (await stat(file).catch(() => undefined)) !== undefined;
  if (!(await isThere(path)) || !(await isThere(state))) {
    throw new ConfigurationError(`There is no file ${path} that sync has made.`, {
      operation: 'open the mirror',
      object: path,
      hint: 'Name the file that sync was given as --out, with --database if all its tables are in named databases.',
    });
  }
  // A sync meanwhile would cost the time of the check again.
  const lock = await lockFolder(state, main);
  try {
    const result = await check({ path, database, state }, process.stderr.isTTY === true);
    const print = (line: string) => void process.stdout.write(`${printable(line)}\n`);
    if (!values.json) linesOf(result).forEach(print);
    const isSound = result.faultCount + result.miscounted.length === 0;
    // Rows of a damaged file cannot be trusted.
    if (settings === undefined || result.faultCount > 0) {
      if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
      return isSound ? 0 : 1;
    }
    const onTable = (table: MirrorComparison['tables'][number]) => {
      if (!values.json) tableLines(table).forEach(print);
    };
    const comparison = await compareMirror({ settings, paths, database, keysOnly, onTable });
    if (values.json) {
      process.stdout.write(`${JSON.stringify({ ...result, comparison: comparisonJson(comparison) })}\n`);
    } else summaryLines(comparison).forEach(print);
    return isSound && comparison.isEqual ? 0 : 1;
  } finally {
    lock.release();
  }
}

async function check(
  { path, database, state }: { path: string; database: string | undefined; state: string },
  showsProgress: boolean,
): Promise<CheckResult> {
  const checker = new SqliteCheck({
    file: new LocalDatabase(path),
    database,
    documents: new FolderStore(join(state, 'published')),
    sqlite: await loadSqlite(),
    maxBytes: Number.MAX_SAFE_INTEGER,
    cacheBytes: cacheMegabytesFor(availableMemory()) * megabyte,
  });
  let saved: Buffer | undefined;
  const checkpoint = {
    load: async () => saved,
    save: async (bytes: Uint8Array) => {
      saved = Buffer.from(bytes);
    },
  };
  const startedAt = new Date().toISOString();
  let progress: CheckProgress | undefined;
  for (;;) {
    const until = performance.now() + stepMilliseconds;
    const step = await checker.step(progress, {
      checkpoint,
      startedAt,
      isTimeOver: () => performance.now() >= until,
    });
    if (step.result !== undefined) return step.result;
    progress = step.progress;
    if (showsProgress) process.stderr.write(`${progressLine(progress)}\n`);
  }
}

function progressLine({ phase, bytes, references }: CheckProgress): string {
  return phase === 'pages'
    ? `${formatBytes(bytes.done)} of ${formatBytes(bytes.total)} checked`
    : `${references.done} of ${plural(references.total, 'foreign key')} checked`;
}

function linesOf(result: CheckResult): string[] {
  const {
    database,
    tables,
    pages,
    faults,
    faultCount,
    miscounted,
    danglingReferences,
    foreignKeys = [],
  } = result;
  const size = `${plural(tables, 'table')}, ${formatCount(pages)} pages, ${formatBytes(database.bytes)}`;
  if (faultCount > 0) {
    return [
      `Damaged: ${plural(faultCount, 'fault')} in ${size}`,
      ...faults.map(({ table, text }) => `  ${table === undefined ? '' : `${table}: `}${text}`),
      '  → Restore a copy of the file, or delete it: the next sync reads all tables again.',
    ];
  }
  return [
    `Sound: ${size}`,
    ...miscounted.map(
      ({ table, kept, counted }) =>
        `  ${table} has ${plural(counted, 'row')}, and the sync counts ${formatCount(kept)}. The next sync corrects that.`,
    ),
    `  ${plural(danglingReferences ?? 0, 'reference')} without a target`,
    ...foreignKeys.map(({ table, column, count }) => `    ${table}.${column}: ${formatCount(count)}`),
  ];
}

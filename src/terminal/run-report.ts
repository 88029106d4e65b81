import { printableJson } from '../safe-text.ts';
import type { RunStatus } from '../sync/run/run-status.ts';
import { formatBytes, formatCount, formatSeconds, plural } from './format.ts';

/**
 * The result of a run as lines for a person: totals first, then each fault and what to do about it.
 * @param isFile whether the mirror is a file, of which blocks are written
 */
export function reportLines(status: RunStatus, isFile = true): string[] {
  const { totals, entities: tables, phase, seconds, database } = status;
  const lines = [
    `Sync ${phase} in ${formatSeconds(seconds)}: ${plural(tables.length, 'table')}, ` +
      `${plural(totals.rowsRead, 'row')} read in ${plural(totals.requests, 'request')}, ${formatBytes(totals.bytes)}`,
    `  ${plural(totals.added, 'row')} added, ${formatCount(totals.updated)} updated, ` +
      `${formatCount(totals.deleted)} deleted, ${formatCount(totals.unchanged)} unchanged`,
  ];
  if (database !== undefined && isFile) {
    lines.push(
      `  ${plural(database.stagedBlocks, 'database block')} written (${formatBytes(database.stagedBytes)})`,
    );
  }
  const addFault = (subject: string, { error, hint }: { error?: string; hint?: string }) => {
    if (error !== undefined) lines.push(`  ${subject}: ${error}`);
    if (error !== undefined && hint !== undefined) lines.push(`    → ${hint}`);
  };
  addFault('The run failed', status);
  for (const table of tables) addFault(`${table.name} ${table.state}`, table);
  return lines;
}

/** The fields of each table in the line of `--json`. */
const TABLE_FIELDS = [
  ...(['name', 'strategy', 'state', 'rowsRead', 'added', 'updated', 'deleted', 'unchanged'] as const),
  ...(['seconds', 'requests', 'bytes', 'throttled', 'waitedSeconds', 'wireBytes', 'error', 'hint'] as const),
];

/**
 * The one line of `--json`. Scripts rely on its fields.
 * @param others the databases besides the default one
 */
export function reportJson(
  status: RunStatus,
  database: { file: string; bytes: number },
  others: readonly { file: string; bytes: number }[] = [],
): string {
  const { runId, phase, totals, seconds, error, hint } = status;
  const { bytes = database.bytes, stagedBlocks = 0, stagedBytes = 0 } = status.database ?? {};
  return printableJson({
    runId,
    phase,
    error,
    hint,
    entities: status.entities.map((table) =>
      Object.fromEntries(TABLE_FIELDS.map((field) => [field, table[field]])),
    ),
    totals,
    seconds,
    requests: totals.requests,
    bytes: totals.bytes,
    database: { file: database.file, bytes, stagedBlocks, stagedBytes },
    otherDatabases: others.length > 0 ? others : undefined,
  });
}

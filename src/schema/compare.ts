import { migrationSql, type SchemaChange, type SchemaChangeKind } from './migration.ts';
import type { Table } from './table.ts';
import type { TableFailure } from './tables-from-csdl.ts';

export type Severity = 'error' | 'warning' | 'info';

export type FindingKind =
  | SchemaChangeKind
  | 'unknown-table'
  | 'vanished-table'
  | 'unconfigured-table'
  | 'no-change-tracking'
  | 'unmirrored-targets';

/** One line of the validation report. */
export interface Finding {
  severity: Severity;
  kind: FindingKind;
  /** The table's logical name. */
  table: string;
  column?: string;
  /** What is so, as a sentence. */
  what: string;
  /** When it was first found, ISO 8601 in UTC. */
  since?: string;
  /** What the sync does about it, or what the reader can do. */
  action: string;
}

export interface CompareOptions {
  /** Why configured tables are not among those of Dataverse. */
  failures?: readonly TableFailure[] | undefined;
  /** The findings of the last report: one that was there keeps the time it was first found. */
  previous?: readonly Finding[] | undefined;
  /** The time of this report, ISO 8601 in UTC. */
  now?: string | undefined;
}

const severities: readonly Severity[] = ['error', 'warning', 'info'];

/**
 * Compares the database with Dataverse before any row moves. An error stops its own table, never another one;
 * a warning is something a reader of the database should know; the sync deals with the rest by itself.
 * @param configured the logical names in entities.json
 */
export function compareSchemas(
  inDatabase: readonly Table[],
  inDataverse: readonly Table[],
  configured: readonly string[],
  options: CompareOptions = {},
): Finding[] {
  const databaseTables = new Map(inDatabase.map((table) => [table.logicalName, table]));
  const dataverseTables = new Map(inDataverse.map((table) => [table.logicalName, table]));
  const synced = [
    ...inDataverse,
    ...inDatabase.filter(({ logicalName }) => !dataverseTables.has(logicalName)),
  ];
  const findings = [...new Set(configured)].flatMap((name) => {
    const there = dataverseTables.get(name);
    const here = databaseTables.get(name);
    if (there === undefined) return [missingTable(name, here, options.failures)];
    return [...differences(here, there, inDatabase, synced), ...remarks(there, dataverseTables)];
  });
  const wanted = new Set(configured);
  for (const { logicalName, name } of inDatabase) {
    if (!wanted.has(logicalName)) findings.push(unconfiguredTable(logicalName, name));
  }
  return findings
    .map((finding) => withSince(finding, options))
    .sort((a, b) => severities.indexOf(a.severity) - severities.indexOf(b.severity));
}

function missingTable(
  name: string,
  here: Table | undefined,
  failures: readonly TableFailure[] = [],
): Finding {
  const error = failures.find(({ logicalName }) => logicalName === name)?.error;
  const what = error?.message ?? `Dataverse has no table ${name}`;
  if (here === undefined) {
    const action = error?.hint ?? 'correct the name in entities.json, or remove the entry';
    return { severity: 'error', kind: 'unknown-table', table: name, what, action };
  }
  return {
    severity: 'warning',
    kind: 'vanished-table',
    table: name,
    what: `${what}; ${here.name} keeps the rows of its last sync`,
    action: `remove ${name} from entities.json when you no longer need news of it; its rows stay until you drop ${here.name}`,
  };
}

function differences(
  here: Table | undefined,
  there: Table,
  syncedBefore: readonly Table[],
  synced: readonly Table[],
): Finding[] {
  if (here === undefined) {
    const what = `${there.name} is not in the database yet (${there.columns.length} columns)`;
    const action = 'the sync creates it and reads all its rows';
    return [{ severity: 'info', kind: 'new-table', table: there.logicalName, what, action }];
  }
  const { changes } = migrationSql(here, there, { synced, syncedBefore });
  const stale = (here.staleColumns ?? [])
    .filter(({ name }) => !there.columns.some((column) => column.name === name))
    .map(
      ({ name }): SchemaChange => ({
        table: there.logicalName,
        change: 'removed-column',
        column: name,
        detail: `column ${name} is gone; its last values stay`,
        needsReread: false,
      }),
    );
  return [...changes, ...stale].map((change) => ({
    ...consequences[change.change],
    kind: change.change,
    table: change.table,
    ...(change.column === undefined ? {} : { column: change.column }),
    what: change.detail,
  }));
}

/** How much each change matters to a reader of the database, and what happens about it. */
const consequences: Readonly<Record<SchemaChangeKind, { severity: Severity; action: string }>> = {
  'new-table': { severity: 'info', action: 'the sync creates it and reads all its rows' },
  'renamed-table': { severity: 'warning', action: 'the table is renamed; change the name in your queries' },
  'new-column': { severity: 'info', action: 'the sync adds it and reads the table again to fill it' },
  'restored-column': { severity: 'info', action: 'the sync reads the table again to fill it' },
  'removed-column': {
    severity: 'warning',
    action: 'it is no longer updated; stop relying on it, or bring it back in Dataverse or in entities.json',
  },
  widened: { severity: 'info', action: 'the sync widens the column; every value stays' },
  retyped: {
    severity: 'warning',
    action: 'the sync rebuilds the column and reads the table again; check the queries that use it',
  },
  'new-key': {
    severity: 'warning',
    action: 'the sync rebuilds the table under the new key and reads it again; check the joins that use it',
  },
  'foreign-keys': { severity: 'info', action: 'the sync rebuilds the table with them; every row stays' },
};

function remarks(table: Table, dataverseTables: ReadonlyMap<string, Table>): Finding[] {
  const findings: Finding[] = [];
  if (!table.changeTracking) {
    const way =
      table.modifiedOnColumn === undefined
        ? 'every run reads all its rows'
        : 'changes are found by modifiedon, deletes by comparing all ids';
    findings.push({
      severity: 'info',
      kind: 'no-change-tracking',
      table: table.logicalName,
      what: `Dataverse keeps no changes of ${table.logicalName}: ${way}`,
      action: table.intersect
        ? 'turn on Track changes for both tables it connects'
        : 'turn on Track changes in the properties of the table in Power Apps',
    });
  }
  const absent = new Set(
    table.foreignKeys.flatMap(({ targets }) => targets.filter((target) => !dataverseTables.has(target))),
  );
  if (absent.size > 0) {
    findings.push({
      severity: 'info',
      kind: 'unmirrored-targets',
      table: table.logicalName,
      what: `it points to ${absent.size} tables that are not mirrored: ${[...absent].sort().join(', ')}`,
      action: 'add the ones you want to join with to entities.json',
    });
  }
  return findings;
}

function unconfiguredTable(logicalName: string, name: string): Finding {
  return {
    severity: 'info',
    kind: 'unconfigured-table',
    table: logicalName,
    what: `${name} is in the database but not in entities.json; its rows are those of its last sync`,
    action: `add ${logicalName} to entities.json, or drop ${name}`,
  };
}

function withSince(finding: Finding, { previous = [], now }: CompareOptions): Finding {
  const before = previous.find(
    (other) =>
      other.kind === finding.kind && other.table === finding.table && other.column === finding.column,
  );
  const since = before?.since ?? now;
  return since === undefined ? finding : { ...finding, since };
}

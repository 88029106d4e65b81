import { migrationSql, removedColumn, type SchemaChangeKind } from './migration.ts';
import type { Table } from './table.ts';
import type { TableFailure } from './tables-from-csdl.ts';

export type Severity = 'error' | 'warning' | 'info';

export type FindingKind =
  | SchemaChangeKind
  | 'unknown-table'
  | 'vanished-table'
  | 'unconfigured-table'
  | 'other-name'
  | 'no-change-tracking'
  | 'unmirrored-targets';

/** One line of the schema report. */
export interface Finding {
  severity: Severity;
  kind: FindingKind;
  /** The table's logical name. */
  table: string;
  column?: string;
  /** The condition, as a sentence. */
  what: string;
  /** The time of the first report with this finding, ISO 8601 in UTC. */
  since?: string;
  /** What the sync does about it, or what the reader can do. */
  action: string;
}

export interface CompareOptions {
  /** Why configured tables are not among the tables of Dataverse. */
  failures?: readonly TableFailure[];
  /** The findings of the previous report. A finding that was in it keeps its `since`. */
  previous?: readonly Finding[];
  /** The time of this report, ISO 8601 in UTC. */
  now?: string;
}

const severities: readonly Severity[] = ['error', 'warning', 'info'];

/**
 * Compares the database with Dataverse before any row moves. An error stops its own table and no other table; a
 * warning is something that readers of the database should know; the sync handles the rest.
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
    const before = databaseTables.get(name);
    const after = dataverseTables.get(name);
    if (after === undefined) return [missingTable(name, before, options.failures)];
    return [...differences(before, after, inDatabase, synced), ...limitations(after, dataverseTables)];
  });
  const wanted = new Set(configured);
  for (const table of inDatabase) {
    if (!wanted.has(table.logicalName)) findings.push(unconfiguredTable(table));
  }
  return findings
    .map((finding) => ({ ...finding, since: firstSeen(finding, options) }))
    .sort((a, b) => severities.indexOf(a.severity) - severities.indexOf(b.severity));
}

function missingTable(
  name: string,
  before: Table | undefined,
  failures: readonly TableFailure[] = [],
): Finding {
  const error = failures.find(({ logicalName }) => logicalName === name)?.error;
  const what = error?.message ?? `Dataverse has no table ${name}`;
  if (before === undefined) {
    const action = error?.hint ?? 'Correct the name in entities.json, or remove the entry.';
    return { severity: 'error', kind: 'unknown-table', table: name, what, action };
  }
  return {
    severity: 'warning',
    kind: 'vanished-table',
    table: name,
    what: `${what}; ${before.name} keeps the rows of its last sync`,
    action: `Restore the table in Dataverse, or remove ${name} from entities.json. The rows stay in the database until you drop the table: POST /api/sync with {"dropTables": ["${name}"]}.`,
  };
}

function differences(
  before: Table | undefined,
  after: Table,
  syncedBefore: readonly Table[],
  synced: readonly Table[],
): Finding[] {
  const { logicalName: table, columns } = after;
  if (before === undefined) {
    const what = `${after.name} is not in the database yet (${columns.length} columns)`;
    return [{ ...consequences['new-table'], kind: 'new-table', table, what }];
  }
  const { changes } = migrationSql(before, after, { synced, syncedBefore });
  const removedEarlier = (before.staleColumns ?? [])
    .filter(({ name }) => !columns.some((column) => column.name === name))
    .map(({ name }) => removedColumn(table, name));
  return [...changes, ...removedEarlier].map(({ change, column, detail }) => ({
    ...consequences[change],
    kind: change,
    table,
    column,
    what: detail,
  }));
}

/** How much each change matters to readers of the database, and what happens about it. */
const consequences: Readonly<Record<SchemaChangeKind, { severity: Severity; action: string }>> = {
  'new-table': { severity: 'info', action: 'The sync creates the table and reads all rows.' },
  'renamed-table': {
    severity: 'warning',
    action: 'The sync renames the table. Change the name in your queries.',
  },
  'new-column': {
    severity: 'info',
    action: 'The sync adds the column and reads the table again to fill it.',
  },
  'restored-column': { severity: 'info', action: 'The sync reads the table again to fill the column.' },
  'recreated-column': {
    severity: 'warning',
    action: 'Its old values are gone in Dataverse. The sync reads the table again.',
  },
  'removed-column': {
    severity: 'warning',
    action:
      'This column is no longer updated. Remove uses of it, or restore it in Dataverse or entities.json.',
  },
  widened: { severity: 'info', action: 'The sync widens the column and keeps every value.' },
  retyped: {
    severity: 'warning',
    action: 'The sync rebuilds the column and reads the table again. Check the queries that use it.',
  },
  'new-key': {
    severity: 'warning',
    action: 'The sync rebuilds the table with the new key and reads it again. Check the joins that use it.',
  },
  'foreign-keys': {
    severity: 'info',
    action: 'The sync rebuilds the table with these foreign keys and keeps every row.',
  },
  'dropped-table': { severity: 'info', action: 'The table was dropped on request.' },
};

/** What makes syncs of a table slow or joins with it incomplete. */
function limitations(table: Table, dataverseTables: ReadonlyMap<string, Table>): Finding[] {
  const { logicalName } = table;
  const findings: Finding[] = otherNames(table);
  if (!table.changeTracking) {
    const instead =
      table.modifiedOnColumn === undefined
        ? 'every run reads all rows'
        : 'the sync finds changes by modifiedon and deletes by comparing all ids';
    findings.push({
      severity: 'info',
      kind: 'no-change-tracking',
      table: logicalName,
      what: `Dataverse does not track changes of ${logicalName}: ${instead}`,
      action: table.intersect
        ? 'Turn on Track changes for both tables that it connects.'
        : 'Turn on Track changes in the properties of the table in Power Apps.',
    });
  }
  const absent = new Set(
    table.foreignKeys.flatMap(({ targets }) => targets.filter((target) => !dataverseTables.has(target))),
  );
  if (absent.size > 0) {
    findings.push({
      severity: 'info',
      kind: 'unmirrored-targets',
      table: logicalName,
      what: `${logicalName} has lookups to tables that are not mirrored: ${[...absent].sort().join(', ')}`,
      action: 'Add the tables that you want to join with to entities.json.',
    });
  }
  return findings;
}

/** What the database stores under another name than Dataverse's. */
function otherNames(table: Table): Finding[] {
  const other = (what: string, column?: string): Finding => ({
    severity: 'info',
    kind: 'other-name',
    table: table.logicalName,
    column,
    what: `${what}, because the name is reserved or taken in the database`,
    action: 'Use the other name in queries.',
  });
  const columns = table.columns.flatMap(({ name, property }) =>
    property === undefined || property === name || property.includes('@')
      ? []
      : other(`the column ${property} is stored as ${name}`, name),
  );
  if (table.entitySet === undefined) return columns;
  return [other(`the entity set ${table.entitySet} is stored as the table ${table.name}`), ...columns];
}

function unconfiguredTable({ logicalName, name }: Table): Finding {
  return {
    severity: 'info',
    kind: 'unconfigured-table',
    table: logicalName,
    what: `${name} is in the database but not in entities.json; it keeps the rows of its last sync`,
    action: `Add ${logicalName} to entities.json, or drop it: POST /api/sync with {"dropTables": ["${logicalName}"]}.`,
  };
}

function firstSeen(finding: Finding, { previous = [], now }: CompareOptions): string | undefined {
  const before = previous.find(
    (other) =>
      other.kind === finding.kind && other.table === finding.table && other.column === finding.column,
  );
  return before?.since ?? now;
}

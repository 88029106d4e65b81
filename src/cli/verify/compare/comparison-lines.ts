import { formatBytes, formatCount, formatSeconds, plural } from '../../../terminal/format.ts';
import { isEqual, type MirrorComparison } from './compare-mirror.ts';

type Table = MirrorComparison['tables'][number];

/** What the comparison of a table found, for people. Names and values of rows are not safe for a terminal. */
export function tableLines(table: Table): string[] {
  if ('error' in table) {
    const { error, hint } = table;
    return [`${table.table}: NOT COMPARED: ${error}`, ...(hint === undefined ? [] : [`  → ${hint}`])];
  }
  const { missing, gone, different, changedSince, computed, history = 0, unneeded = 0, examples } = table;
  const { undated, unexplained, withoutDefinitions } = table;
  const faults = [
    ...(missing > 0 ? [`${plural(missing, 'row')} missing in the mirror`] : []),
    ...(gone > 0 ? [`${plural(gone, 'row')} that Dataverse does not have`] : []),
    ...(different > 0 ? [`${plural(different, 'row')} with other values`] : []),
    ...(undated > 0 ? [`${plural(undated, 'row')} changed at an unknown time`] : []),
    ...(unexplained > 0
      ? [`${plural(unexplained, 'row')} with other values that may be computed or secured ones`]
      : []),
    ...(history > 0 ? [`${plural(history, 'row')} other than in the history`] : []),
  ];
  const others = [
    ...(changedSince > 0 ? [`${formatCount(changedSince)} changed since the sync`] : []),
    ...(unneeded > 0 ? [`${formatCount(unneeded)} that no row refers to`] : []),
    ...(computed > 0 ? [`${formatCount(computed)} with other computed or secured values`] : []),
  ];
  const besides = others.length === 0 ? '' : `; ${others.join(', ')}`;
  const verdict = faults.length === 0 ? 'equal' : `DIFFERENT: ${faults.join(', ')}`;
  return [
    `${table.table}: ${verdict}${besides} (${plural(table.rows, 'row')})`,
    ...(withoutDefinitions === undefined
      ? []
      : [`  The definitions of its columns cannot be read (prvReadAttribute): ${withoutDefinitions}`]),
    ...examples.missing.map((id) => `  missing    ${id}`),
    ...examples.gone.map((id) => `  gone       ${id}`),
    ...examples.undated.map((id) => `  undated    ${id}`),
    ...examples.different.flatMap(({ id, columns }) => [
      `  different  ${id}`,
      ...columns.map(
        ({ column, mirror, dataverse }) =>
          `    ${column}: ${shown(mirror)} in the mirror, ${shown(dataverse)} in Dataverse`,
      ),
    ]),
  ];
}

/** The end of the report. */
export function summaryLines(comparison: MirrorComparison): string[] {
  const others = comparison.otherDatabases.map((name) =>
    name === undefined ? 'the default database' : `--database ${name}`,
  );
  return [verdictLine(comparison), ...(others.length === 0 ? [] : [`Not compared: ${others.join(', ')}`])];
}

function verdictLine(comparison: MirrorComparison): string {
  const { isEqual: isAll, hasComputedDifferences, tables, requests, bytes, seconds } = comparison;
  const cost = `${plural(requests, 'request')}, ${formatBytes(bytes)}, ${formatSeconds(seconds)}`;
  const except = hasComputedDifferences ? ' except computed or secured values' : '';
  if (isAll) return `Equal to Dataverse${except}: ${plural(tables.length, 'table')} (${cost})`;
  const different = tables.filter((table) => !isEqual(table)).length;
  return `Not equal to Dataverse: ${formatCount(different)} of ${plural(tables.length, 'table')} (${cost})`;
}

const maxShown = 80;

function shown(value: unknown): string {
  if (value === null || value === undefined) return 'empty';
  if (value instanceof Uint8Array) return `${formatCount(value.length)} bytes`;
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length <= maxShown ? text : `${text.slice(0, maxShown)}…`;
}

/** The comparison as plain data for JSON: integers of 64 bits as texts, contents of binary columns by their size. */
export function comparisonJson(comparison: MirrorComparison): unknown {
  const plain = (value: unknown): unknown => {
    if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
    return value instanceof Uint8Array ? { bytes: value.length } : value;
  };
  const tables = comparison.tables.map((table) =>
    'error' in table
      ? table
      : {
          ...table,
          examples: {
            ...table.examples,
            different: table.examples.different.map(({ id, columns }) => ({
              id,
              columns: columns.map(({ column, mirror, dataverse }) => ({
                column,
                mirror: plain(mirror) ?? null,
                dataverse: plain(dataverse) ?? null,
              })),
            })),
          },
        },
  );
  return { ...comparison, tables, otherDatabases: comparison.otherDatabases.map((name) => name ?? null) };
}

import { badRequest, noSuchProperty } from '../http/service-error.ts';
import { type Column, columnIndex, type Table } from '../metadata/model.ts';
import type { Store } from '../rows/store.ts';
import type { Row, Value } from '../rows/values.ts';
import { comparable } from './comparable.ts';
import type { QueryOptions } from './options/query-options.ts';
import { splitOutside } from './options/split-outside.ts';
import { rowFilter } from './row-filter.ts';
import { printValue } from './row-json.ts';

/** The service rejects more rows (learn.microsoft.com: Aggregate data using OData). */
const maxRows = 50_000;

/**
 * Evaluates `$apply` as far as Dataverse supports it: `filter(…)`, then `groupby((columns),aggregate(…))`,
 * `groupby((columns))` or `aggregate(…)`. Returns the rows of the result as JSON.
 */
export function applyRows(store: Store, table: Table, options: QueryOptions): string[] {
  let rows: readonly Row[] = store.visibleRows(table).ordered();
  if (options.filter !== undefined)
    rows = rows.filter(rowFilter(store, table, options.filter, options.aliases));
  const steps = splitOutside(options.apply!, '/');
  for (const step of steps.slice(0, -1)) {
    const inner = /^\s*filter\s*\((.*)\)\s*$/s.exec(step)?.[1];
    if (inner === undefined) throw unsupported();
    rows = rows.filter(rowFilter(store, table, inner, options.aliases));
  }
  return applyTo(table, rows, steps.at(-1)!);
}

/** Evaluates `groupby(…)` or `aggregate(…)` over rows. */
export function applyTo(table: Table, rows: readonly Row[], step: string): string[] {
  const [, name, inner] = /^\s*(groupby|aggregate)\s*\((.*)\)\s*$/s.exec(step) ?? [];
  if (name === undefined || inner === undefined) throw unsupported();
  if (rows.length > maxRows) {
    throw badRequest('The maximum record limit is exceeded. Reduce the number of records.', '0x8004E023');
  }
  return name === 'groupby' ? group(table, rows, inner) : [`{${aggregated(table, rows, inner)}}`];
}

function unsupported(): Error {
  return badRequest('The $apply expression is not supported.');
}

/** Evaluates the content of `groupby(…)`: `(a,b),aggregate(…)`. */
function group(table: Table, rows: readonly Row[], text: string): string[] {
  const [, names, aggregates] = /^\s*\(([^)]*)\)\s*(?:,\s*aggregate\s*\((.*)\))?\s*$/s.exec(text) ?? [];
  if (names === undefined) throw unsupported();
  const columns = names.split(',').map((name) => field(table, name.trim()));
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const key = JSON.stringify(
      columns.map(({ column, index }) => String(comparable(column.type, row.values[index]))),
    );
    const members = groups.get(key);
    if (members === undefined) groups.set(key, [row]);
    else members.push(row);
  }
  return [...groups.values()].map((members) => {
    const shown = columns.map(({ column, index }) => {
      const value = members[0]!.values[index] ?? null;
      return `"${column.name}":${printValue(column, value)}`;
    });
    if (aggregates !== undefined) shown.push(aggregated(table, members, aggregates));
    return `{${shown.join(',')}}`;
  });
}

/** Evaluates the content of `aggregate(…)`: `costusd with sum as total,$count as records`. */
function aggregated(table: Table, rows: readonly Row[], text: string): string {
  return splitOutside(text, ',')
    .map((part) => {
      const [, name, method, alias] = /^\s*([\w$]+)(?:\s+with\s+(\w+))?\s+as\s+(\w+)\s*$/.exec(part) ?? [];
      if (name === undefined) throw unsupported();
      if (name === '$count') return `"${alias}":${rows.length}`;
      const { column, index } = field(table, name);
      const values = rows.flatMap((row) => {
        const value = row.values[index] ?? null;
        return value === null ? [] : [value];
      });
      return `"${alias}":${aggregate(column, method ?? '', values)}`;
    })
    .join(',');
}

function field(table: Table, name: string): { column: Column; index: number } {
  const index = columnIndex(table, name);
  if (index < 0) throw noSuchProperty(name, table.logicalName);
  return { column: table.columns[index]!, index };
}

function aggregate(column: Column, method: string, values: readonly Value[]): string {
  const key = (value: Value): string | number | bigint => comparable(column.type, value)!;
  switch (method) {
    case 'countdistinct':
      return String(new Set(values.map(key)).size);
    case 'min':
    case 'max': {
      const sign = method === 'min' ? -1 : 1;
      const best = values.reduce<Value>((found, value) => {
        if (found === null) return value;
        return (key(value) > key(found) ? 1 : -1) === sign ? value : found;
      }, null);
      return printValue(column, best);
    }
    case 'sum':
      return values.length === 0 ? 'null' : sum(column, values);
    case 'average':
      return values.length === 0 ? 'null' : String(Number(sum(column, values)) / values.length);
    default:
      throw unsupported();
  }
}

/** The sum, exact for integers and decimals. */
function sum(column: Column, values: readonly Value[]): string {
  if (column.type !== 'Edm.Decimal') {
    if (column.type === 'Edm.Double')
      return String(values.reduce<number>((total, value) => total + Number(value), 0));
    return String(values.reduce<bigint>((total, value) => total + BigInt(String(value)), 0n));
  }
  const scale = Math.max(...values.map((value) => String(value).split('.')[1]?.length ?? 0));
  const total = values.reduce<bigint>((sum, value) => {
    const [whole = '0', fraction = ''] = String(value).split('.');
    return sum + BigInt(whole + fraction.padEnd(scale, '0'));
  }, 0n);
  const digits = String(total < 0n ? -total : total).padStart(scale + 1, '0');
  const sign = total < 0n ? '-' : '';
  return scale === 0 ? sign + digits : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

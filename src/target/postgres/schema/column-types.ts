import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { Column } from '../../../schema/table.ts';
import { deletedAtColumn } from '../../common/mirror-table.ts';

/** The types of columns, as PostgreSQL calls them (`format_type`). */
export type PostgresType =
  | 'text'
  | 'uuid'
  | 'boolean'
  | 'smallint'
  | 'integer'
  | 'bigint'
  | 'numeric'
  | 'double precision'
  | 'timestamp with time zone'
  | 'date'
  | 'jsonb'
  | 'bytea';

const integers: readonly PostgresType[] = ['smallint', 'integer', 'bigint'];

const integerTypes: Record<string, PostgresType> = {
  'Edm.Byte': 'smallint',
  'Edm.SByte': 'smallint',
  'Edm.Int16': 'smallint',
  'Edm.Int32': 'integer',
};
const textTypes: Record<string, PostgresType> = {
  'Edm.DateTimeOffset': 'timestamp with time zone',
  'Edm.Date': 'date',
};

/** The type of the column in PostgreSQL. */
export function postgresType({
  name,
  edmType,
  reading,
}: Pick<Column, 'name' | 'edmType' | 'reading'>): PostgresType {
  if (name === deletedAtColumn) return 'timestamp with time zone';
  switch (reading) {
    case 'guid':
      return 'uuid';
    case 'integer':
      return integerTypes[edmType] ?? 'bigint';
    case 'real':
      return 'double precision';
    case 'decimal':
      return 'numeric';
    case 'boolean':
      return 'boolean';
    case 'json':
      return 'jsonb';
    case 'base64':
      return 'bytea';
    case 'text':
      return textTypes[edmType] ?? 'text';
  }
}

/** Whether a column of the first type can stay as it is for values of the second. */
export function holds(type: string, wanted: PostgresType): boolean {
  if (type === wanted) return true;
  const [has, needs] = [integers.indexOf(type as PostgresType), integers.indexOf(wanted)];
  return needs >= 0 && has >= needs;
}

/** The values of a column as those of another type; NULL where they say nothing there: such rows are read again. */
export function castSql(column: string, from: string, to: PostgresType): string {
  const name = quote(column);
  const isNumber = [...integers, 'numeric', 'double precision'].includes(from as PostgresType);
  const toNumber = ['bigint', 'integer', 'numeric', 'double precision'].includes(to);
  if (to === 'text') return `${name}::text`;
  if (from === 'boolean' && toNumber) return `${name}::integer::${to}`;
  if (integers.includes(from as PostgresType) && holds(to, from as PostgresType)) return `${name}::${to}`;
  if (isNumber && (to === 'numeric' || to === 'double precision')) return `${name}::${to}`;
  if (from === 'date' && to === 'timestamp with time zone') return `(${name}::timestamp AT TIME ZONE 'UTC')`;
  if (from === 'timestamp with time zone' && to === 'date') return `(${name} AT TIME ZONE 'UTC')::date`;
  return `NULL::${to}`;
}

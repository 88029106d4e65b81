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

/** Without what the owner of the database may have added, such as `numeric(20,4)`. */
const withoutModifiers = (type: string): string => type.replace(/\(-?\d+(?:,-?\d+)?\)/, '');

/** What a text has to be so that the cast to the type cannot fail. Without `\d`, which can match other digits, too. */
const patterns: Partial<Record<PostgresType, string>> = {
  uuid: '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$',
  boolean: '^(t|f|true|false|0|1)$',
  numeric: '^[+-]?[0-9]{1,100}([.][0-9]{1,100})?(e[+-]?[0-9]{1,2})?$',
  'double precision': '^[+-]?[0-9]{1,100}([.][0-9]{1,100})?(e[+-]?[0-9]{1,2})?$',
};
/** A day of the calendar, from year 1 to 9999, in leap years, too. */
const dayPattern = `(?!0000)([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)`;
const timePattern = '([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?';
patterns.date = `^${dayPattern}$`;
// As Dataverse writes it, and as PostgreSQL does.
patterns['timestamp with time zone'] =
  `^${dayPattern}[T ]${timePattern}(Z|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?)$`;
const integerPattern = '^[+-]?[0-9]{1,40}([.]0{1,40})?$';
const integerBits: Partial<Record<PostgresType, number>> = { smallint: 15, integer: 31, bigint: 63 };

/**
 * The values of a column as those of another type, whoever changed it; NULL where they say nothing there, until the rows are
 * read again. @param alias of the table
 */
export function castSql(column: string, from: string, to: PostgresType, alias?: string): string {
  const name = alias === undefined ? quote(column) : `${alias}.${quote(column)}`;
  const type = withoutModifiers(from);
  const isNumber = [...integers, 'numeric', 'double precision'].includes(type as PostgresType);
  const toNumber = [...integers, 'numeric', 'double precision'].includes(to);
  if (to === 'text' || type === to || (type === 'json' && to === 'jsonb')) return `${name}::${to}`;
  if (type === 'boolean' && toNumber) return `${name}::integer::${to}`;
  if (integers.includes(type as PostgresType) && holds(to, type as PostgresType)) return `${name}::${to}`;
  if (isNumber && (to === 'numeric' || to === 'double precision')) return `${name}::${to}`;
  if (to === 'timestamp with time zone') {
    if (type === 'timestamp without time zone') return `(${name} AT TIME ZONE 'UTC')`;
    if (type === 'date') return `(${name}::timestamp AT TIME ZONE 'UTC')`;
  }
  if (to === 'date') {
    if (type === 'timestamp without time zone') return `${name}::date`;
    if (type === 'timestamp with time zone') return `(${name} AT TIME ZONE 'UTC')::date`;
  }
  const text = `${name}::text`;
  const bits = integerBits[to];
  if (bits !== undefined) {
    // A condition of one CASE does not protect another of the same one.
    const number = `CASE WHEN ${text} ~ '${integerPattern}' THEN ${text}::numeric END`;
    const [least, most] = [-(2n ** BigInt(bits)), 2n ** BigInt(bits) - 1n];
    return `CASE WHEN ${number} BETWEEN ${least} AND ${most} THEN ${number} END::${to}`;
  }
  const pattern = patterns[to];
  return pattern === undefined ? `NULL::${to}` : `CASE WHEN ${text} ~* '${pattern}' THEN ${text}::${to} END`;
}

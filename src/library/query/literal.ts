import { isGuid, stringLiteral } from '../../dataverse/read/query.ts';
import type { ExactNumber } from '../../dataverse/write/exact-number.ts';
import { UsageError } from '../client/errors.ts';

/** A value in a filter or function that is written in a certain way, whatever the column. */
export class Literal {
  /** In a filter: `00000000-…`, `2024-05-01`. */
  readonly text: string;
  /** In the list of a query function such as `In`. */
  readonly listText: string;

  constructor(text: string, listText: string = text) {
    this.text = text;
    this.listText = listText;
  }
}

/** What a column can be compared with. A `Date` is a point in time; see also `guid`, `dateOnly`, `column` and `raw`. */
export type FilterValue = string | number | bigint | boolean | Date | null | ExactNumber | Literal;

/**
 * A GUID. Columns named `_x_value` and the primary key of a table need no `guid()`: their texts are GUIDs.
 * @throws UsageError for any other text
 */
export function guid(id: string): Literal {
  if (isGuid(id)) return new Literal(id.toLowerCase());
  throw new UsageError('An id in a filter must be a GUID', {
    hint: 'Ids look like 00000000-0000-0000-0000-000000000001.',
  });
}

/** A date without a time, `2024-05-01`, for columns of the type Date Only. @throws UsageError for any other text */
export function dateOnly(date: string): Literal {
  if (/^\d{4}-\d\d-\d\d$/.test(date)) return new Literal(date);
  throw new UsageError('A date in a filter must look like 2024-05-01');
}

/** Another column of the same row: `f.gt('actualend', column('scheduledend'))`. In `any` and `all`, of the related row. */
export function column(name: string): Literal {
  return new ColumnLiteral(checkPath(name));
}

/** A column, which has the variable of a lambda expression before it. */
class ColumnLiteral extends Literal {}

/** Text that is put into the filter as it is. Never make it from input. */
export function raw(text: string): Literal {
  return new Literal(text);
}

/**
 * Text that `contains`, `startsWith` and `endsWith` take literally: Dataverse reads `%`, `_` and `[…]` in them as
 * wildcards (learn.microsoft.com: "Filter rows using OData").
 */
export function literalText(text: string): string {
  return text.replace(/[[%_]/g, '[$&]');
}

/** A column or a path of navigation properties to one. @throws UsageError for anything else */
export function checkPath(path: string): string {
  if (/^[A-Za-z_]\w*(\/[A-Za-z_]\w*)*$/.test(path) && path.length <= 400) return path;
  throw new UsageError(`${JSON.stringify(path.slice(0, 60))} is not a column or a path to one`, {
    hint: 'Names consist of letters, digits and underscores; a path is parentcustomerid_account/name.',
  });
}

/**
 * A value as an OData literal.
 * @param isGuidColumn whether a text is a GUID, which has no quotes
 * @param variable of the lambda expression that the value is in
 */
export function literalOf(value: FilterValue, isGuidColumn: boolean, variable?: string): string {
  if (value === null) return 'null';
  if (value instanceof ColumnLiteral && variable !== undefined) return `${variable}/${value.text}`;
  if (value instanceof Literal) return value.text;
  if (typeof value === 'string') {
    return isGuidColumn && isGuid(value) ? value.toLowerCase() : stringLiteral(value);
  }
  return textOf(value);
}

/** A value in the list of a query function, which takes texts only. */
export function listTextOf(value: Exclude<FilterValue, null>): string {
  if (value instanceof Literal) return value.listText;
  return typeof value === 'string' ? value : textOf(value);
}

function textOf(value: number | bigint | boolean | Date | ExactNumber): string {
  if (value instanceof Date) return timeOf(value);
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new UsageError('A number in a filter must be finite');
  }
  return typeof value === 'object' ? value.rawJSON : String(value);
}

/** `2024-05-01T12:00:00Z`; milliseconds only if there are some. */
function timeOf(date: Date): string {
  if (Number.isNaN(date.getTime())) throw new UsageError('A date in a filter is not valid');
  return date.toISOString().replace('.000Z', 'Z');
}

/**
 * JSON in a URL, whose texts contain no quotes and brackets. Dataverse's parser finds the end of a list by counting brackets,
 * also those in texts, and older versions take an apostrophe for the start of a text (github.com/OData/odata.net,
 * ExpressionLexer). The JSON has the same value.
 */
export function bracketSafe(json: string): string {
  return json.replace(/"(?:[^"\\]|\\.)*"/g, (text) =>
    text.replace(/['[\]{}]/g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`),
  );
}

/**
 * Numbers that are written to JSON exactly as their text says. A double would turn `0.10` into `0.1`
 * and lose digits beyond the 15th, while Dataverse keeps decimals and money to the digit.
 */

/** What `JSON.rawJSON` makes: TypeScript's library does not know it yet (ECMAScript: JSON.parse source text access). */
export interface ExactNumber {
  readonly rawJSON: string;
}

const { rawJSON } = JSON as unknown as { rawJSON(text: string): ExactNumber };

/** @throws RangeError for anything that is no JSON number */
export function exactNumber(text: string): ExactNumber {
  if (!/^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text)) throw new RangeError('not a JSON number');
  return rawJSON(text);
}

/** A row as Dataverse takes it: columns, and `<NavigationProperty>@odata.bind` for lookups. */
export type RowValues = Readonly<Record<string, unknown>>;

/** JSON text; a bigint is written as a number, exactly. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_, member) =>
    typeof member === 'bigint' ? rawJSON(String(member)) : member,
  );
}

import type { Page } from '../../dataverse/client.ts';
import { parseTombstone } from '../../dataverse/read/change-tracking.ts';
import type { Column } from '../../schema/table.ts';

/** Column types that Dataverse does not return with every row: contents of images. */
const optionalTypes = new Set(['Edm.Binary', 'Edm.Stream']);

/**
 * Compares the rows of pages with the columns that the metadata names. Dataverse returns every column of a row, also
 * empty ones (learn.microsoft.com: Query data using the Web API), so a column that no row has is not just empty.
 */
export class ColumnCheck {
  readonly #columns: readonly Column[];
  readonly #reportsUnknown: boolean;
  readonly #unseen = new Map<string, Buffer>();
  readonly #unknown = new Set<string>();
  #hasRows = false;

  /** @param options `reportsUnknown`: whether the rows have no other columns, because all are mirrored */
  constructor(columns: readonly Column[], options: { reportsUnknown: boolean }) {
    this.#columns = columns;
    this.#reportsUnknown = options.reportsUnknown;
    for (const { property, edmType } of columns) {
      if (property === undefined || property.includes('@') || optionalTypes.has(edmType)) continue;
      this.#unseen.set(property, Buffer.from(JSON.stringify(property)));
    }
  }

  /**
   * Takes note of the columns of a page.
   * @param options `areRenamed`: whether the caller reads columns by the spelling that this returns
   * @returns columns that the rows spell otherwise than the metadata, with their spelling
   */
  see(page: Page, options: { areRenamed: boolean }): Map<string, string> {
    const row = firstRow(page);
    if (row === undefined) return new Map();
    this.#hasRows = true;
    for (const name of row.keys) this.#unseen.delete(name);
    const spellings = this.#spellings(row.keys);
    if (options.areRenamed) for (const name of spellings.keys()) this.#unseen.delete(name);
    const records = page.body.subarray(row.end, page.recordsEnd);
    // A service that leaves out empty values has them in other rows.
    for (const [name, bytes] of this.#unseen) if (records.includes(bytes)) this.#unseen.delete(name);
    return spellings;
  }

  /** What to tell about the pages seen, as sentences. */
  findings(table: string): string[] {
    const findings: string[] = [];
    if (this.#hasRows && this.#unseen.size > 0) {
      findings.push(
        `No row of ${table} that Dataverse returned has ${list(this.#unseen.keys())}: empty in the mirror`,
      );
    }
    if (this.#unknown.size > 0) {
      findings.push(
        `Rows of ${table} have ${list(this.#unknown)}, which the metadata does not name: not mirrored`,
      );
    }
    return findings;
  }

  #spellings(keys: ReadonlySet<string>): Map<string, string> {
    const names = new Set(this.#columns.map(({ property }) => property));
    const spellings = new Map<string, string>();
    for (const key of keys) {
      if (key.includes('@') || names.has(key)) continue;
      const lower = key.toLowerCase();
      const same = this.#columns.find(
        ({ property }) => property?.toLowerCase() === lower && !keys.has(property),
      )?.property;
      if (same !== undefined) spellings.set(same, key);
      else if (this.#reportsUnknown) this.#unknown.add(key);
    }
    return spellings;
  }
}

function list(names: Iterable<string>): string {
  const all = [...names];
  const shown = all.slice(0, 10).join(', ');
  return all.length > 10 ? `${shown} and ${all.length - 10} more` : shown;
}

/** The names of the first record's members and where it ends; undefined if it is not a row. */
function firstRow({ body, recordsStart, recordsEnd }: Page): { keys: Set<string>; end: number } | undefined {
  const end = endOfRecord(body, recordsStart, recordsEnd);
  if (end === undefined) return undefined;
  const record = body.subarray(recordsStart, end);
  if (parseTombstone(record) !== undefined) return undefined;
  try {
    return { keys: new Set(Object.keys(JSON.parse(record.toString()) as object)), end };
  } catch {
    // The record writer reports invalid rows.
    return undefined;
  }
}

/** The position after the brace that closes the first record; undefined if there is none. */
function endOfRecord(body: Buffer, start: number, end: number): number | undefined {
  let depth = 0;
  let isText = false;
  for (let at = start; at < end; at += 1) {
    const char = String.fromCharCode(body[at]!);
    if (isText) {
      if (char === '\\') at += 1;
      else if (char === '"') isText = false;
    } else if (char === '"') isText = true;
    else if (char === '{') depth += 1;
    else if (char === '}') {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  return undefined;
}

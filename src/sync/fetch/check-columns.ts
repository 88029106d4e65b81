import type { Column } from '../../schema/table.ts';

/** Column types that Dataverse does not return with every row: contents of images. */
const optionalTypes = new Set(['Edm.Binary', 'Edm.Stream']);

/** What a record writer saw of the members of rows. */
export interface SeenMembers {
  /** Pages with rows. */
  readonly pages: number;
  /** How many of them had no row with this property, in whatever letter case. */
  pagesWithout(property: string): number;
  /** Members of rows that no column takes. */
  readonly unknownMembers: readonly string[];
}

/**
 * Compares the rows of pages with the columns that the metadata names. Dataverse returns every column of a row, also
 * empty ones (learn.microsoft.com: Query data using the Web API), so a column that no row of a page has is not just
 * empty. The record writer looks at every row; it takes a column that differs in letter case alone.
 * @param options `reportsUnknown`: whether the rows have no other columns, because all are mirrored
 * @returns what to tell about it, as sentences
 */
export function columnFindings(
  table: string,
  columns: readonly Column[],
  seen: SeenMembers,
  options: { reportsUnknown: boolean },
): string[] {
  const expected = columns.flatMap(({ property, edmType }) =>
    property === undefined || property.includes('@') || optionalTypes.has(edmType) ? [] : property,
  );
  const without = (isWanted: (pages: number) => boolean) =>
    expected.filter((property) => isWanted(seen.pagesWithout(property)));
  const nowhere = without((pages) => pages > 0 && pages === seen.pages);
  const inPart = without((pages) => pages > 0 && pages < seen.pages);
  const unknown = options.reportsUnknown ? seen.unknownMembers : [];
  const findings: string[] = [];
  if (nowhere.length > 0) {
    findings.push(`No row of ${table} that Dataverse returned has ${list(nowhere)}: empty in the mirror`);
  }
  if (inPart.length > 0) {
    findings.push(
      `Some pages of ${table} that Dataverse returned have no row with ${list(inPart)}: empty in the mirror there`,
    );
  }
  if (unknown.length > 0) {
    findings.push(`Rows of ${table} have ${list(unknown)}, which the metadata does not name: not mirrored`);
  }
  return findings;
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, 10).join(', ');
  return names.length > 10 ? `${shown} and ${names.length - 10} more` : shown;
}

/** `OData.Community.Display.V1.FormattedValue` and the tables of lookups. */
export const displayAnnotations = [
  'OData.Community.Display.V1.FormattedValue',
  'Microsoft.Dynamics.CRM.lookuplogicalname',
  'Microsoft.Dynamics.CRM.associatednavigationproperty',
] as const;

function annotation(row: object, column: string, name: string): string | undefined {
  const value = (row as Record<string, unknown>)[`${column}@${name}`];
  return typeof value === 'string' ? value : undefined;
}

/** The label of a choice, a formatted number or date, or the name behind a lookup. Needs `withFormattedValues`. */
export function formattedValue(row: object, column: string): string | undefined {
  return annotation(row, column, displayAnnotations[0]);
}

/** The logical name of the table that a lookup points to. Needs `withFormattedValues`. */
export function lookupTable(row: object, column: string): string | undefined {
  return annotation(row, column, displayAnnotations[1]);
}

/** The version of a row, for `etag` options. @throws TypeError if the row has none, because it was not read */
export function etagOf(row: object): string {
  const etag = (row as Record<string, unknown>)['@odata.etag'];
  if (typeof etag === 'string') return etag;
  throw new TypeError('The row has no @odata.etag');
}

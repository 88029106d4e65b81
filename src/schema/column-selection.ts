import { ConfigurationError } from '../errors.ts';
import { didYouMean } from './did-you-mean.ts';

/** The columns of a table to mirror, by name. A lookup can be named `parentid` or `_parentid_value`. */
export interface ColumnSelection {
  include?: readonly string[];
  exclude?: readonly string[];
}

/**
 * The columns to keep. The columns in `needed`, which the sync itself uses, always stay.
 * @throws ConfigurationError for a column that the table does not have
 */
export function selectColumns(
  tableName: string,
  available: ReadonlySet<string>,
  needed: Iterable<string>,
  selection: ColumnSelection = {},
): Set<string> {
  const resolve = (names: readonly string[]): string[] =>
    names.map((name) => {
      if (available.has(name)) return name;
      if (available.has(`_${name}_value`)) return `_${name}_value`;
      throw new ConfigurationError(`Table ${tableName} has no column ${name}${didYouMean(name, available)}`, {
        operation: 'select columns',
        object: tableName,
        hint: 'Correct the name under "columns" in entities.json.',
      });
    });
  const kept = new Set(selection.include === undefined ? available : resolve(selection.include));
  for (const name of resolve(selection.exclude ?? [])) kept.delete(name);
  for (const name of needed) if (available.has(name)) kept.add(name);
  return kept;
}

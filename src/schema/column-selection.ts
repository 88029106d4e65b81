import { ConfigurationError } from '../errors.ts';
import { didYouMean } from './near-matches.ts';

/** Which columns of a table are mirrored, by name; a lookup may be named `parentid` or `_parentid_value`. */
export interface ColumnSelection {
  include?: readonly string[];
  exclude?: readonly string[];
}

/**
 * The columns to keep. Those the sync itself needs stay whatever is said.
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
      throw new ConfigurationError(`table ${tableName} has no column ${name}${didYouMean(name, available)}`, {
        operation: 'select columns',
        object: tableName,
        hint: 'correct the name under columns in entities.json',
      });
    });
  const kept = new Set(selection.include === undefined ? available : resolve(selection.include));
  for (const name of resolve(selection.exclude ?? [])) kept.delete(name);
  for (const name of needed) if (available.has(name)) kept.add(name);
  return kept;
}

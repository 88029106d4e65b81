import type { ForeignKey, Table } from '../../schema/table.ts';

/** Rows that a report shows for each foreign key. */
export const maxExamples = 10;

/** A foreign key to check, with the mirrored ones of its targets. */
export interface CheckedKey {
  name: string;
  column: string;
  typeColumn: string | undefined;
  targets: Table[];
  /** Whether every possible target is mirrored. Only then an id without a recorded target can be checked. */
  whole: boolean;
}

/** The foreign keys of a table that can be checked. @param tables that are mirrored and configured */
export function checkedKeys(table: Table, tables: readonly Table[]): CheckedKey[] {
  const columns = new Set(table.columns.map(({ name }) => name));
  return table.foreignKeys.flatMap((key: ForeignKey): CheckedKey[] => {
    const { column, typeColumn } = key;
    const targets = tables.filter(({ logicalName }) => key.targets.includes(logicalName));
    const whole = targets.length === key.targets.length;
    if (!columns.has(column) || targets.length === 0 || (typeColumn === undefined && !whole)) return [];
    const name = `${table.name}.${column}>${targets.map((target) => target.name).join()}`;
    return [{ name, column, typeColumn, targets, whole }];
  });
}

import type { Model, Table } from '../metadata/model.ts';
import { columnIndex } from '../metadata/model.ts';
import type { Store } from '../rows/store.ts';
import { isLookup, type Row } from '../rows/values.ts';

/** A row with its own table, which may be derived from the one that a lookup names. */
export interface RowOfTable {
  table: Table;
  row: Row;
}

/** A navigation property of a table: where it leads, and how to follow it. */
export interface Navigation {
  isCollection: boolean;
  target: Table;
  follow(row: Row): RowOfTable[];
}

/** The name of the collection that a lookup of another table makes. `$metadata` has it as `Partner`. */
export function partner(table: Table, navigation: string): string {
  return `${table.logicalName}_${navigation.toLowerCase()}`;
}

/** Finds a navigation property of either kind; undefined if the table has none of this name. */
export function findNavigation(store: Store, table: Table, name: string): Navigation | undefined {
  return lookupOf(store, table, name) ?? childrenOf(store, table, name) ?? linkedOf(store, table, name);
}

function lookupOf(store: Store, table: Table, name: string): Navigation | undefined {
  for (const [index, column] of table.columns.entries()) {
    const found = column.targets?.find((each) => each.navigation === name);
    const target = found === undefined ? undefined : store.model.tables.get(found.table);
    if (target === undefined) continue;
    const members = store.model.family(target);
    return {
      isCollection: false,
      target,
      follow(row) {
        const value = row.values[index] ?? null;
        if (!isLookup(value)) return [];
        const member = members.find((each) => each.logicalName === value.table);
        const related = member === undefined ? undefined : store.rowsOf(member).get(value.id);
        return member === undefined || related === undefined ? [] : [{ table: member, row: related }];
      },
    };
  }
  return undefined;
}

function childrenOf(store: Store, table: Table, name: string): Navigation | undefined {
  for (const child of tablesOf(store.model)) {
    for (const [index, column] of child.columns.entries()) {
      const target = column.targets?.find(
        (each) => each.table === table.logicalName && partner(child, each.navigation) === name,
      );
      if (target === undefined) continue;
      return {
        isCollection: true,
        target: child,
        follow: (row) =>
          [...store.rowsOf(child).all()]
            .filter((each) => {
              const value = each.values[index] ?? null;
              return isLookup(value) && value.id === row.id && value.table === table.logicalName;
            })
            .map((each) => ({ table: child, row: each })),
      };
    }
  }
  return undefined;
}

function linkedOf(store: Store, table: Table, name: string): Navigation | undefined {
  for (const intersect of tablesOf(store.model)) {
    const ends = intersect.intersect?.ends ?? [];
    const position = ends.findIndex((end) => end.table === table.logicalName && end.navigation === name);
    const other = ends[1 - position];
    if (position < 0 || other === undefined) continue;
    const target = store.table(other.table);
    const [own, theirs] = [ends[position]!, other].map((end) => columnIndex(intersect, end.column));
    return {
      isCollection: true,
      target,
      follow: (row) =>
        [...store.rowsOf(intersect).all()]
          .filter((link) => link.values[own!] === row.id)
          .flatMap((link) => {
            const linked = store.rowsOf(target).get(String(link.values[theirs!]));
            return linked === undefined ? [] : [{ table: target, row: linked }];
          }),
    };
  }
  return undefined;
}

const tablesOf = (model: Model): Table[] => [...model.tables.values()];

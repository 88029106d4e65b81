import type { TableConfig } from '../../config/entities.ts';
import type { State } from '../../target/state.ts';
import type { Catalog, NarrowPlan } from '../documents/plan.ts';

/**
 * The tables that a narrow run reads: those that it was asked for, and the filtered tables to which a chain of foreign keys
 * leads from them. A filtered table holds the rows that others refer to, so it changes with them. No other table does: a
 * reference to a row that the mirror lacks stays open until its table is read.
 * @param asked logical names
 */
export function coveredTables(
  asked: readonly string[],
  configs: readonly TableConfig[],
  { tables }: Catalog,
  { entities }: State,
): Set<string> {
  const filtered = new Set(configs.filter((config) => config.filtered).map(({ name }) => name));
  const covered = new Set(asked);
  // A set visits what is added to it meanwhile.
  for (const name of covered) {
    // Columns that Dataverse no longer has keep their references in the mirror.
    const both = [tables[name], entities[name]?.table];
    const targets = both.flatMap((table) => table?.foreignKeys ?? []).flatMap((key) => key.targets);
    for (const target of targets) if (filtered.has(target)) covered.add(target);
  }
  return covered;
}

/** @param asked logical names */
export function narrowPlan(
  asked: readonly string[],
  configs: readonly TableConfig[],
  { tables }: Catalog,
  { closureOpen, configured }: State,
): NarrowPlan {
  const names = configs.map(({ name }) => name).sort();
  const withFiles = configs.filter(({ files, name }) => files && tables[name] !== undefined);
  return {
    tables: [...asked],
    withFiles: withFiles.map(({ name }) => name).sort(),
    // Tables that came or went change which rows of filtered tables are needed, also outside the run.
    closureOpen: closureOpen === true || (configured !== undefined && configured.join() !== names.join()),
  };
}

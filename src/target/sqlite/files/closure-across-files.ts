import type { Table } from '../../../schema/table.ts';
import type { Closure } from '../../mirror-target.ts';
import type { FileClosure } from '../rows/closure.ts';
import type { OpenFiles } from './open-files.ts';

/** Whether filtered rows depend on the table: it is filtered, or may refer to rows of filtered tables. */
export function isInClosure(table: Table, filtered: ReadonlySet<string>): boolean {
  const refers = table.foreignKeys.some(({ targets }) => targets.some((target) => filtered.has(target)));
  return filtered.has(table.logicalName) || refers;
}

/**
 * The closure where references lead from one file to another: each file finds what its own rows need, also in other files,
 * and looks again when rows of another file turn out to need more of its rows.
 */
export async function closureAcrossFiles(
  files: OpenFiles,
  tables: readonly Table[],
  filtered: ReadonlySet<string>,
  withPresent: ReadonlySet<string>,
): Promise<Closure> {
  const byFile = Map.groupBy(
    tables.filter((table) => isInClosure(table, filtered)),
    (table) => files.nameOf(table),
  );
  const fileOf = new Map(
    tables
      .filter(({ logicalName }) => filtered.has(logicalName))
      .map((table) => [table.logicalName, files.nameOf(table)]),
  );
  /** By the file of the filtered table, then by its logical name. */
  const needed = new Map([...byFile.keys()].map((name) => [name, new Map<string, Set<string>>()]));
  const found = new Map<string, FileClosure>();
  const waiting = new Set(byFile.keys());
  for (const name of waiting) {
    waiting.delete(name);
    const { work } = await files.get(name);
    const ids = new Map([...needed.get(name)!].map(([table, set]) => [table, [...set]]));
    const closure = await work.findClosure(files.state, byFile.get(name)!, filtered, withPresent, ids);
    found.set(name, closure);
    for (const [table, outside] of closure.outside) {
      const target = fileOf.get(table);
      if (target === undefined || target === name) continue;
      const known = needed.get(target)!.get(table) ?? new Set();
      const before = known.size;
      for (const id of outside) known.add(id);
      needed.get(target)!.set(table, known);
      if (known.size > before) waiting.add(target);
    }
  }
  const all = [...found.values()];
  const isPartial = all.some((closure) => closure.isPartial);
  const merged = (of: (closure: FileClosure) => Map<string, string[]>): Map<string, string[]> =>
    new Map(all.flatMap((closure) => [...of(closure)]));
  const unneeded = merged((closure) => closure.unneeded);
  return {
    missing: merged(({ missing }) => missing),
    present: merged(({ present }) => present),
    // A file that looked at some of its rows may need others.
    unneeded: isPartial ? new Map([...unneeded.keys()].map((name) => [name, []])) : unneeded,
    isPartial,
  };
}

import { SyncError } from '../../../errors.ts';
import type { SummarizedFile } from '../../../sqlite/check/summarized-file.ts';
import { checkTrees, type FileCheck, type Tree } from '../../../sqlite/check/tree-check.ts';
import { hasMarks } from '../../common/mirror-table.ts';
import type { DatabaseFault, Miscount, PagesResult } from '../../mirror-check.ts';
import type { State } from '../../state.ts';
import type { MirrorDatabase } from '../database/mirror-database.ts';

/** What SQLite knows about a state of the file; a fault if it cannot read it. */
interface Known {
  trees?: Tree[];
  state?: State;
  fault?: DatabaseFault;
}

/**
 * Checks how the pages of a summarized state belong together, and the row counts that the mirror keeps.
 * @param database the file, to be read with SQLite
 * @returns undefined if another state is present now: the schema is to be of the same state as the pages
 */
export async function checkPages(
  database: MirrorDatabase,
  summarized: SummarizedFile,
  { etag, length }: { etag: string; length: number },
): Promise<PagesResult | undefined> {
  const known = await readKnown(database, etag);
  if (known === undefined) return undefined;
  const { header } = summarized;
  const found = known.trees && header && checkTrees(header, summarized.pages(), known.trees, length);
  const faultCount = (known.fault ? 1 : 0) + (found?.faultCount ?? 0);
  const faults = [...(known.fault ? [known.fault] : []), ...(found?.faults.map(faultOf) ?? [])];
  return {
    database: { etag, bytes: length },
    tables: Object.keys(known.state?.entities ?? {}).length,
    pages: header === undefined ? 0 : Math.floor(length / header.pageSize),
    freePages: found?.freePages ?? 0,
    faults,
    faultCount,
    // Of a damaged file, not all rows are counted.
    miscounted: found && known.state && faultCount === 0 ? miscountsOf(found, known.state) : [],
  };
}

function faultOf({ table, text }: FileCheck['faults'][number]): DatabaseFault {
  return table === undefined ? { text } : { table, text };
}

async function readKnown(database: MirrorDatabase, etag: string): Promise<Known | undefined> {
  let trees: Tree[] | undefined;
  try {
    return await database.read(async ({ work, etag: present }) => {
      if (present !== etag) return undefined;
      trees = await work.readTrees();
      return { trees, state: await work.readState() };
    });
  } catch (error) {
    // Other classes say what is wrong with the storage or the settings.
    if (!(error instanceof SyncError) || error.constructor !== SyncError) throw error;
    const what = trees === undefined ? 'the schema of the database' : 'the state of the sync';
    return { ...(trees && { trees }), fault: { text: `SQLite cannot read ${what}: ${error.message}` } };
  }
}

/** Tables whose rows can be marked as deleted are left to `countBatch`. */
function miscountsOf({ trees }: FileCheck, { entities }: State): Miscount[] {
  const rows = new Map(
    trees.filter(({ tree }) => tree.kind === 'table').map(({ tree, rows: count }) => [tree.name, count]),
  );
  return Object.entries(entities).flatMap(([name, { table, rows: kept }]) => {
    const counted = rows.get(table.name);
    const isEqual = counted === undefined || counted === kept || hasMarks(table);
    return isEqual ? [] : [{ table: name, kept, counted }];
  });
}

import type { Table } from '../../../schema/table.ts';
import type { FetchedFile, FileComparison, FileKey } from '../../mirror-target.ts';
import type { OpenFiles } from './open-files.ts';

/** The lists of the contents of file and image columns: each database has one, `_files`. */
export class FileContents {
  readonly #files: OpenFiles;
  /** The database that lists a file which no row shows any more. */
  readonly #listedIn = new WeakMap<FileKey, string>();

  constructor(files: OpenFiles) {
    this.#files = files;
  }

  /** See `MirrorTransaction.compareFiles`. Opens only databases that have such tables, or had files the last time. */
  async compare(tables: readonly Table[]): Promise<FileComparison> {
    const { isSplit, state } = this.#files;
    const databases: string[] = [];
    const all: FileComparison = { wanted: [], unwanted: [], ...(isSplit && { databases }) };
    const names = new Set(tables.map(({ name }) => name));
    const known = isSplit ? state.files?.databases : undefined;
    for (const database of this.#files.names) {
      const own = tables.filter((table) => this.#files.nameOf(table) === database);
      if (own.length === 0 && known !== undefined && !Object.hasOwn(known, database)) continue;
      const ownNames = new Set(own.map(({ name }) => name));
      const { work } = await this.#files.get(database);
      const { wanted, unwanted } = await work.compareFiles(own);
      if (own.length + unwanted.length > 0) databases.push(database);
      all.wanted.push(...wanted);
      for (const file of unwanted) {
        // Its table has moved to another database, whose rows show the same blobs.
        const hasMoved = names.has(file.table) && !ownNames.has(file.table);
        const entry = hasMoved ? { ...file, blob: null } : file;
        this.#listedIn.set(entry, database);
        all.unwanted.push(entry);
      }
    }
    return all;
  }

  /** See `MirrorTransaction.writeFiles`. @param removed those that `compare` found */
  async write(fetched: readonly FetchedFile[], removed: readonly FileKey[], at: string): Promise<void> {
    const { isSplit, names, state, changed } = this.#files;
    const places = new Map(
      Object.values(state.entities).map(({ table }) => [table.name, this.#files.nameOf(table)]),
    );
    const databaseOf = (file: FileKey) => this.#listedIn.get(file) ?? places.get(file.table);
    for (const name of names) {
      const isOwn = (file: FileKey) => !isSplit || databaseOf(file) === name;
      const [own, gone] = [fetched.filter(isOwn), removed.filter(isOwn)];
      if (own.length + gone.length === 0) continue;
      const { work } = await this.#files.get(name);
      await work.writeFiles(own, gone, at);
      changed.add(name);
    }
  }
}

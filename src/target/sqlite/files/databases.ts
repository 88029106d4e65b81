import type { DatabaseFile } from '../../../storage/database/database-file.ts';
import { MirrorDatabase, type MirrorDatabaseOptions } from '../database/mirror-database.ts';

export interface DatabasesOptions extends MirrorDatabaseOptions {
  /** The files besides the default one; absent if there is one file only. */
  named?: NamedFiles | undefined;
}

export interface NamedFiles {
  /** The name of the default database, whose file is `file`. */
  defaultName: string;
  /** The file of another database. */
  fileOf: (name: string) => DatabaseFile;
}

/** The database files of the mirror, by name. */
export class Databases {
  readonly defaultName: string;
  readonly #options: DatabasesOptions;
  readonly #files = new Map<string, DatabaseFile>();
  readonly #databases = new Map<string, MirrorDatabase>();
  /** How many files share the memory. It does not fall, or the databases in memory would be closed again and again. */
  #count = 1;

  constructor(options: DatabasesOptions) {
    this.#options = options;
    this.defaultName = options.named?.defaultName ?? 'dataverse';
    this.#files.set(this.defaultName, options.file);
  }

  /** Whether there can be other files than the default one. */
  get hasNamed(): boolean {
    return this.#options.named !== undefined;
  }

  /** The name of the database that has a table. */
  nameOf({ database }: { database?: string }): string {
    return database ?? this.defaultName;
  }

  file(name: string): DatabaseFile {
    const known = this.#files.get(name);
    if (known !== undefined) return known;
    if (this.#options.named === undefined) throw new Error(`There is no file for the database ${name}`);
    const file = this.#options.named.fileOf(name);
    this.#files.set(name, file);
    return file;
  }

  /** The memory for each database that is open in this process, in bytes. */
  get cacheBytes(): number {
    return this.cacheBytesOf(this.#count);
  }

  /** The memory for each of so many databases, in bytes. */
  cacheBytesOf(count: number): number {
    return Math.floor(this.#options.cacheBytes / count);
  }

  /** @param count how many databases there are: all of them can be open at once, and share the memory */
  get(name: string, count: number): MirrorDatabase {
    if (count > this.#count) {
      for (const database of this.#databases.values()) void database.retire();
      this.#databases.clear();
      this.#count = count;
    }
    const known = this.#databases.get(name);
    if (known !== undefined) return known;
    const options = { ...this.#options, file: this.file(name), cacheBytes: this.cacheBytes };
    const database = new MirrorDatabase(options);
    this.#databases.set(name, database);
    return database;
  }

  /** Gives the memory of the databases back. */
  async close(): Promise<void> {
    const open = [...this.#databases.values()];
    this.#databases.clear();
    await Promise.all(open.map((database) => database.close()));
  }
}

/** The ETags of all files as one text. Of the default file alone, it is the ETag of that file. */
export function combinedEtag(etags: ReadonlyMap<string, string>, defaultName: string): string | undefined {
  if (etags.size === 0) return undefined;
  const only = etags.size === 1 ? etags.get(defaultName) : undefined;
  if (only !== undefined) return only;
  return [...etags]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, etag]) => `${name}=${etag}`)
    .join(', ');
}

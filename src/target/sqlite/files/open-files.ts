import { ConflictError } from '../../../errors.ts';
import type { Table } from '../../../schema/table.ts';
import type { TransactionOptions } from '../../mirror-target.ts';
import type { DatabaseReport, State } from '../../state.ts';
import type { CheckedFigures } from '../check/checked-figures.ts';
import type { OpenDatabase } from '../database/open-database.ts';
import type { Work, WorkContext } from '../database-work.ts';
import type { Databases } from './databases.ts';
import { isSplit, presentState, stateOfFile } from './state-of-file.ts';

/** A file while a transaction works on it. */
export interface OpenFile {
  name: string;
  open: OpenDatabase & { end(isDone: boolean): Promise<void> };
  work: Work;
  /** What the latest commit with an outcome stored. */
  lastOutcome: unknown;
  /** What a check has counted, which the merge takes over. Only of a file that is not in memory as a whole. */
  checked: { figures: CheckedFigures; etag: string } | undefined;
}

export interface OpenFilesOptions {
  databases: Databases;
  transaction: TransactionOptions;
  /** Whether figures about large tables are counted again in this file. */
  isDeep: (open: OpenDatabase, name: string) => Promise<boolean>;
  /** What a check has counted in this file. */
  figures: (name: string) => Promise<{ figures: CheckedFigures; etag: string } | undefined>;
  /** Is told of a file that the caller's state does not have as it is. */
  noteOther: (name: string) => void;
}

/** The files that a transaction works on: opened when something is done with them. */
export class OpenFiles {
  /** The state of all files. */
  readonly state: State;
  readonly defaultName: string;
  /** Whether there are several files, now or after the commit. */
  readonly isSplit: boolean;
  /** The names of files that were changed. */
  readonly changed = new Set<string>();
  readonly #options: OpenFilesOptions;
  readonly #files = new Map<string, OpenFile>();

  private constructor(options: OpenFilesOptions, state: State, files: readonly OpenFile[]) {
    const { databases, transaction } = options;
    this.#options = options;
    this.state = state;
    this.defaultName = databases.defaultName;
    this.isSplit = isSplit(transaction.loaded.state, transaction.synced);
    for (const file of files) this.#files.set(file.name, file);
  }

  /** Opens the only file, or those of the tables that are to be merged. */
  static async begin(options: OpenFilesOptions): Promise<OpenFiles> {
    const { databases, transaction } = options;
    const { loaded, synced, runId, at, tables, incomingBytes } = transaction;
    const known: State = { ...loaded.state, entities: { ...loaded.state.entities } };
    if (isSplit(loaded.state, synced)) {
      const files = new OpenFiles(options, known, []);
      try {
        for (const table of tables?.() ?? []) await files.of(table);
        return files;
      } catch (error) {
        await files.end(false);
        throw error;
      }
    }
    const name = databases.defaultName;
    const open = await databases.get(name, 1).begin(incomingBytes);
    try {
      const isOfDatabase = loaded.state.databaseEtag === open.etag;
      const checked = open.isSmall ? undefined : await options.figures(name);
      const figures = checked?.figures;
      const isDeep = await options.isDeep(open, name);
      const context = { runId, at, synced, isDeep, figures, tracking: trackingOf(transaction, open.etag) };
      const { state, lastOutcome } = await open.work.begin(context, isOfDatabase ? known : undefined);
      const file = { name, open, work: open.work, lastOutcome, checked };
      return new OpenFiles(options, isOfDatabase ? known : state, [file]);
    } catch (error) {
      await open.end(false);
      throw error;
    }
  }

  /** The names of all files that exist, and of those that were opened. */
  get names(): string[] {
    return [...new Set([...this.#stored().keys(), ...this.#files.keys()])];
  }

  /** Those that are open. */
  get opened(): readonly OpenFile[] {
    return [...this.#files.values()];
  }

  has(name: string): boolean {
    return this.#files.has(name);
  }

  nameOf(table: { database?: string }): string {
    return this.#options.databases.nameOf(table);
  }

  /** The state with the tables of one file alone. */
  stateOf(name: string): State {
    const { synced } = this.#options.transaction;
    return this.isSplit ? stateOfFile(this.state, synced, this.#databaseOf(name)) : this.state;
  }

  /** The state with the tables that one file has at present. @param leftovers see `presentState` */
  presentStateOf(name: string, leftovers: readonly Table[]): State {
    return this.isSplit ? presentState(this.state, this.#databaseOf(name), leftovers) : this.state;
  }

  #databaseOf(name: string): string | undefined {
    return name === this.defaultName ? undefined : name;
  }

  /** The file that has a table, or is to have it. */
  of(table: { database?: string }): Promise<OpenFile> {
    return this.get(this.nameOf(table));
  }

  /** @throws ConflictError if the file is not the one that the caller's state describes */
  async get(name: string): Promise<OpenFile> {
    const known = this.#files.get(name);
    if (known !== undefined) return known;
    const { databases, transaction, noteOther } = this.#options;
    const { synced, runId, at, incomingBytes } = transaction;
    const places = new Set([...this.names, ...synced.map((table) => this.nameOf(table)), name]);
    const open = await databases.get(name, places.size).begin(incomingBytes);
    try {
      if (open.etag !== this.#stored().get(name)) {
        noteOther(name);
        throw new ConflictError(`The database ${name} is not the one that the merge began with.`, {
          operation: 'open',
          object: name,
          hint: 'Load the state again and repeat the work.',
        });
      }
      const own = synced.filter((table) => this.nameOf(table) === name);
      const checked = open.isSmall ? undefined : await this.#options.figures(name);
      const figures = checked?.figures;
      const isDeep = await this.#options.isDeep(open, name);
      const tracking = trackingOf(transaction, open.etag);
      const context = { runId, at, synced: own, isDeep, figures, tracking };
      const { lastOutcome } = await open.work.begin(context, this.stateOf(name));
      const file = { name, open, work: open.work, lastOutcome, checked };
      this.#files.set(name, file);
      return file;
    } catch (error) {
      await open.end(false);
      throw error;
    }
  }

  /** Begins again on a file that was stored. */
  async reopen({ name, work }: OpenFile): Promise<void> {
    const { synced, runId, at } = this.#options.transaction;
    const own = synced.filter((table) => this.nameOf(table) === name);
    await work.begin({ runId, at, synced: own, isDeep: false }, this.stateOf(name));
  }

  /** The ETags of the stored files by name, as the caller's state has them. */
  #stored(): Map<string, string> {
    const { databases, databaseEtag } = this.#options.transaction.loaded.state;
    if (databases !== undefined)
      return new Map(Object.entries(databases).map(([name, { etag }]) => [name, etag]));
    return new Map(databaseEtag === undefined ? [] : [[this.defaultName, databaseEtag]]);
  }

  /** Closes the files. @param isDone whether those that were stored or kept equal what is stored */
  async end(isDone: boolean): Promise<void> {
    for (const { open } of this.#files.values()) await open.end(isDone);
  }
}

/** @param etag of the file that was opened; undefined if it is new */
function trackingOf({ tracking }: TransactionOptions, etag: string | undefined): WorkContext['tracking'] {
  return tracking && { changes: tracking, base: etag ?? '' };
}

/** Adds up what was stored. */
export function addReports(reports: readonly DatabaseReport[]): {
  stagedBlocks: number;
  stagedBytes: number;
} {
  return {
    stagedBlocks: reports.reduce((sum, { stagedBlocks }) => sum + stagedBlocks, 0),
    stagedBytes: reports.reduce((sum, { stagedBytes }) => sum + stagedBytes, 0),
  };
}

import { createHash } from 'node:crypto';
import { ConflictError } from '../../errors.ts';
import type { Table } from '../../schema/table.ts';
import { DamagedDocumentError, type DocumentStore } from '../../storage/document-store.ts';
import type { LoadedState, State, TableState } from '../state.ts';
import { areStoredTables, isStoredState } from './state-shape.ts';
import { currentTableState } from './tables/earlier-state.ts';

/** The state beside the database. It names the database that it describes by its ETag. */
export const stateName = 'state.json';
const tablesFolder = 'state-tables/';

/** The state as it is stored: each run writes it, so the tables' models, which seldom change, are in a file of their own. */
type StoredState = Omit<State, 'entities'> & {
  entities: Record<string, Omit<TableState, 'table'> & { table?: Table }>;
  /** The file with the models by logical name: `state-tables/{digest}.json`. Earlier versions stored them inline. */
  tables?: string;
};

type Tables = Record<string, Table>;

/** `state.json`, with the tables' models beside it. */
export class StateFile {
  readonly #documents: DocumentStore;
  /** The latest models that were read or written. Their name has a digest of them, so they cannot change. */
  #kept: { name: string; tables: Tables } | undefined;

  constructor(documents: DocumentStore) {
    this.#documents = documents;
  }

  /**
   * @returns undefined if there is no file; without a state if it cannot be used, because it is damaged or the file with
   * the models is gone
   */
  async read(): Promise<{ state: State | undefined; etag: string } | undefined> {
    const found = await this.#readWithTables();
    // Another writer may have replaced both files in between.
    return found?.state === undefined ? this.#readWithTables() : found;
  }

  /** @throws ConflictError if another writer has changed the file since it was loaded */
  async save({ state, etag }: LoadedState): Promise<void> {
    const tables = Object.fromEntries(Object.entries(state.entities).map(([name, one]) => [name, one.table]));
    const text = JSON.stringify(tables);
    const name = `${tablesFolder}${createHash('sha256').update(text).digest('hex').slice(0, 32)}.json`;
    const before = this.#kept?.name;
    // Also over a file of that name which is damaged: the name decides the content.
    if (before !== name) await this.#documents.put(name, tables);
    const entities = Object.fromEntries(
      Object.entries(state.entities).map(([table, { table: _, ...rest }]) => [table, rest]),
    );
    const stored: StoredState = { ...state, entities, tables: name };
    if (etag !== undefined) await this.#documents.replaceIfUnchanged(stateName, stored, etag);
    else if (!(await this.#documents.createIfAbsent(stateName, stored))) {
      throw new ConflictError(`Another writer created ${stateName} first.`, { object: stateName });
    }
    this.#kept = { name, tables };
    if (before !== undefined && before !== name) await this.#documents.deletePrefix(before);
  }

  async #readWithTables(): Promise<{ state: State | undefined; etag: string } | undefined> {
    const found = await this.#readStored();
    if (found === undefined) return undefined;
    if (found.value === undefined) return { state: undefined, etag: found.etag };
    const { tables: name, ...stored } = found.value;
    const tables = name === undefined ? {} : await this.#readTables(name);
    if (tables === undefined) return { state: undefined, etag: found.etag };
    const entities: State['entities'] = {};
    for (const [logicalName, entity] of Object.entries(stored.entities)) {
      const table = entity.table ?? tables[logicalName];
      if (table === undefined) return { state: undefined, etag: found.etag };
      entities[logicalName] = currentTableState({ ...entity, table });
    }
    return { state: { ...stored, entities }, etag: found.etag };
  }

  /** @returns without a value if the file is damaged */
  async #readStored(): Promise<{ value: StoredState | undefined; etag: string } | undefined> {
    try {
      const found = await this.#documents.read<StoredState>(stateName);
      return found && { value: isStoredState(found.value) ? found.value : undefined, etag: found.etag };
    } catch (error) {
      if (error instanceof DamagedDocumentError) return { value: undefined, etag: error.etag };
      throw error;
    }
  }

  async #readTables(name: string): Promise<Tables | undefined> {
    if (this.#kept?.name === name) return this.#kept.tables;
    const tables = await this.#documents.read<Tables>(name).then(
      (found) => (areStoredTables(found?.value) ? found?.value : undefined),
      (error: unknown) => {
        if (error instanceof DamagedDocumentError) return undefined;
        throw error;
      },
    );
    if (tables !== undefined) this.#kept = { name, tables };
    return tables;
  }
}

import type { DatabaseFile } from '../storage/database/database-file.ts';
import { Mirror, type MirrorOptions } from './mirror.ts';
import type { QueryParameter, Value } from './query-result.ts';

const timeoutMs = 30_000;

/** The mirrors that a process reads from time to time, by the name of their database. Each query sees the newest state. */
export class OpenMirrors {
  readonly #fileOf: (name: string | undefined) => DatabaseFile;
  readonly #options: MirrorOptions;
  readonly #open = new Map<string | undefined, Promise<Mirror | undefined>>();

  /** @param fileOf the file of the database with this name; undefined for the default one */
  constructor(fileOf: (name: string | undefined) => DatabaseFile, options: MirrorOptions = {}) {
    this.#fileOf = fileOf;
    this.#options = options;
  }

  /**
   * The rows of a statement; undefined if there is no such database.
   * @throws SyncError with SQLite's message, RetriableError
   */
  async query<Row = Record<string, Value>>(
    name: string | undefined,
    sql: string,
    parameters: readonly QueryParameter[] = [],
  ): Promise<Row[] | undefined> {
    const mirror = await this.#mirrorOf(name);
    if (mirror === undefined) return undefined;
    const query = () => mirror.query<Row>(sql, parameters, { timeoutMs });
    // A sync may have replaced the state since it was opened.
    return query().catch(async (error) => {
      if (!(await mirror.refresh())) throw error;
      return query();
    });
  }

  async #mirrorOf(name: string | undefined): Promise<Mirror | undefined> {
    const opening = this.#open.get(name) ?? this.#opened(name);
    this.#open.set(name, opening);
    try {
      const mirror = await opening;
      if (mirror === undefined) this.#open.delete(name);
      else await mirror.refresh();
      return mirror;
    } catch (error) {
      this.#open.delete(name);
      throw error;
    }
  }

  async #opened(name: string | undefined): Promise<Mirror | undefined> {
    const file = this.#fileOf(name);
    const state = await file.open();
    if (typeof state === 'string') return undefined;
    const source = {
      name: 'the mirror',
      open: async () => {
        const next = await file.open();
        // It was deleted. The next query reads what is left, and fails.
        return typeof next === 'string' ? state : next;
      },
    };
    return new Mirror(source, state, this.#options);
  }
}

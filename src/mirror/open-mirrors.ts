import type { DatabaseFile } from '../storage/database/database-file.ts';
import { Mirror, type MirrorOptions } from './mirror.ts';
import type { QueryParameter, Value } from './query-result.ts';

const timeoutMs = 30_000;

/** The mirrors that a process reads from time to time, by the name of their database. Each query sees the newest state. */
export class OpenMirrors {
  readonly #fileOf: (name: string | undefined) => DatabaseFile;
  readonly #options: MirrorOptions;
  readonly #open = new Map<string | undefined, Promise<Mirror | undefined>>();

  /** Those whose database was deleted after they were opened. */
  readonly #deleted = new WeakSet<Mirror>();

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
    const { etag } = mirror;
    // A sync may have replaced the state since it was opened. Another query may have noticed that first.
    return query().catch(async (error) => {
      await mirror.refresh();
      if (mirror.etag === etag) throw error;
      return query();
    });
  }

  /** Names the newest state; undefined if there is no such database. */
  async etag(name: string | undefined): Promise<string | undefined> {
    return (await this.#mirrorOf(name))?.etag;
  }

  async #mirrorOf(name: string | undefined): Promise<Mirror | undefined> {
    const opening = this.#open.get(name) ?? this.#opened(name);
    this.#open.set(name, opening);
    const mirror = await opening.catch((error: unknown) => {
      this.#open.delete(name);
      throw error;
    });
    if (mirror === undefined) this.#open.delete(name);
    // If that fails, the mirror and its thread stay for the next query.
    else await mirror.refresh();
    if (mirror === undefined || !this.#deleted.has(mirror)) return mirror;
    // Another query may have opened its successor meanwhile.
    if (this.#open.get(name) === opening) this.#open.delete(name);
    await mirror.close();
    return undefined;
  }

  async #opened(name: string | undefined): Promise<Mirror | undefined> {
    const file = this.#fileOf(name);
    const state = await file.open();
    if (typeof state === 'string') return undefined;
    const source = {
      name: 'the mirror',
      open: async () => {
        const next = await file.open();
        if (typeof next !== 'string') return next;
        this.#deleted.add(mirror);
        return state;
      },
    };
    const mirror: Mirror = new Mirror(source, state, this.#options);
    return mirror;
  }
}

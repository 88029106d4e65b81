import type { Answer, Asked, Cell, Table } from './worker-messages.ts';

/** A query failed. `isChanged`: because a sync has committed a newer state. */
export class QueryError extends Error {
  override readonly name = 'QueryError';
  readonly isChanged: boolean;
  constructor(message: string, isChanged: boolean) {
    super(message);
    this.isChanged = isChanged;
  }
}

export interface Place {
  /** The addresses of the database, of the code of the thread, and of SQLite's WebAssembly. */
  database: string;
  worker: string;
  wasm: string;
  key: string | null;
}

type Unsent = Asked extends infer A ? (A extends { id: number } ? Omit<A, 'id'> : never) : never;

/** Reads the mirror in a thread. All queries see the state that was opened. */
export class MirrorReader {
  readonly #place: Place;
  #worker: Worker | undefined;
  #ids = 0;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  /** The state that the thread opens or has open. */
  #opening: Promise<string> | undefined;
  /** Of the state that is shown: the one that `open` found last. Empty before. */
  etag = '';
  requests = 0;
  fetchedBytes = 0;

  constructor(place: Place) {
    this.#place = place;
  }

  /** Opens the newest state. */
  async open(): Promise<void> {
    this.etag = await this.#reach();
  }

  /** Opens the state that is there now. One that failed is forgotten, so that the next query tries again. */
  #reach(): Promise<string> {
    const { database, key, wasm } = this.#place;
    const opening = this.#ask({ kind: 'open', database, key, wasm }).then(({ rows }) => String(rows[0]![0]));
    this.#opening = opening;
    opening.catch(() => {
      if (this.#opening === opening) this.#opening = undefined;
    });
    return opening;
  }

  /**
   * Asks the state that is shown.
   * @param options.state the state that is meant, where it may be another one by now
   * @throws QueryError also if the state is no longer there
   */
  async query(
    sql: string,
    parameters: readonly Cell[] = [],
    { maxRows = 1000, maxText = 2000, state = this.etag } = {},
  ): Promise<Table> {
    const opened = await (this.#opening ?? this.#reach());
    if (state !== this.etag) throw new QueryError('This belongs to an earlier state of the mirror.', false);
    if (opened !== state) throw new QueryError('A sync has committed a newer state of the mirror.', true);
    return this.#ask({ kind: 'query', sql, parameters: [...parameters], maxRows, maxText });
  }

  /** Ends what is running. The next query opens the file again, and fails if a newer state is there. */
  stop(): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#opening = undefined;
    for (const [id, done] of this.#waiting) done({ id, error: 'Stopped.', isChanged: false });
    this.#waiting.clear();
  }

  async #ask(unsent: Unsent): Promise<Table> {
    const id = ++this.#ids;
    this.#worker ??= this.#start();
    const answer = await new Promise<Answer>((done) => {
      this.#waiting.set(id, done);
      this.#worker!.postMessage({ ...unsent, id });
    });
    if ('error' in answer) throw new QueryError(answer.error, answer.isChanged);
    this.requests = answer.requests;
    this.fetchedBytes = answer.fetchedBytes;
    return answer.table;
  }

  #start(): Worker {
    const worker = new Worker(trusted(this.#place.worker) as unknown as string, { type: 'module' });
    worker.onmessage = ({ data }: MessageEvent<Answer>) => {
      this.#waiting.get(data.id)?.(data);
      this.#waiting.delete(data.id);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      const error = event.message || 'SQLite could not be started.';
      for (const [id, done] of this.#waiting) done({ id, error, isChanged: false });
      this.#waiting.clear();
      this.#worker = undefined;
      this.#opening = undefined;
    };
    return worker;
  }
}

/** The policy of the page lets a thread start only from an address that was looked at. */
function trusted(address: string): unknown {
  const types = (
    globalThis as {
      trustedTypes?: {
        createPolicy(name: string, rules: object): { createScriptURL(text: string): unknown };
      };
    }
  ).trustedTypes;
  if (types === undefined) return address;
  policy ??= types.createPolicy('worker', {
    createScriptURL: (text: string) => {
      const { origin, pathname } = new URL(text, location.href);
      if (origin !== location.origin || !/\/assets\/sqlite-worker-[0-9a-f]{12}\.js$/.test(pathname))
        throw new TypeError('No thread of this app.');
      return text;
    },
  });
  return policy.createScriptURL(address);
}
let policy: { createScriptURL(text: string): unknown } | undefined;

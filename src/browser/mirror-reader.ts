import type { Answer, Asked, Cell, Format, Results, Saved, Table } from './worker-messages.ts';

/** A file to save has no more rows, and no more bytes than one row beyond these. */
const mostSavedRows = 100_000;
const mostSavedBytes = 500_000_000;
/**
 * So long an outdated read may end before its thread is ended, in milliseconds: a new thread reads again what this one has.
 */
const graceMilliseconds = 300;

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

interface Options {
  /** The state that is meant, where another one may be shown by now. */
  state?: string;
  /** Aborted once nobody waits for the rows. */
  signal?: AbortSignal | undefined;
}

/** Reads the mirror in a thread, one read after the other. All see the state that was opened. */
export class MirrorReader {
  readonly #place: Place;
  #worker: Worker | undefined;
  /** The state that the thread has open. */
  #opened: string | undefined;
  /** Takes the answer to what the thread was asked. */
  #take: ((answer: Answer) => void) | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #opens = 0;
  /** Of the state that is shown. Empty before. */
  etag = '';
  requests = 0;
  fetchedBytes = 0;
  /** Called when a read begins to run or wait, and when none does any more. */
  onBusy: (isBusy: boolean) => void = () => {};

  constructor(place: Place) {
    this.#place = place;
  }

  /**
   * Opens the newest state in a new thread, so that nothing of the earlier one stays in memory. Ends what is read of that.
   * @param load reads what belongs to the state; if it fails, the earlier state stays the one that is shown
   */
  async open(load: () => Promise<void>): Promise<void> {
    this.#opens += 1;
    this.stop();
    const before = this.etag;
    this.etag = await this.#inTurn(() => this.#reach());
    try {
      await load();
    } catch (error) {
      this.etag = before;
      throw error;
    }
  }

  /** The rows of a statement. @throws QueryError also if the state is no longer there */
  query(
    sql: string,
    parameters: readonly Cell[] = [],
    {
      maxRows = 1000,
      maxText = 2000,
      whole = [],
      ...options
    }: Options & { maxRows?: number; maxText?: number; whole?: readonly string[] } = {},
  ): Promise<Table> {
    const asked = { sql, parameters: [...parameters], maxRows, maxText, whole: [...whole] };
    return this.#read(options, () => this.#ask({ kind: 'query', ...asked }));
  }

  /** The rows of a statement as a file. @throws QueryError like `query` */
  save(
    sql: string,
    parameters: readonly Cell[],
    { format, ...options }: Options & { format: Format },
  ): Promise<Saved> {
    const limits = { maxRows: mostSavedRows, maxBytes: mostSavedBytes };
    return this.#read(options, () =>
      this.#ask({ kind: 'save', sql, parameters: [...parameters], format, ...limits }),
    );
  }

  /** Ends what is running. The next read opens the file again, and fails if a newer state is there. */
  stop(error = 'Stopped.'): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#opened = undefined;
    this.#take?.({ error, isChanged: false });
    this.#take = undefined;
  }

  #read<T>({ state = this.etag, signal }: Options, ask: () => Promise<T>): Promise<T> {
    const opens = this.#opens;
    return this.#inTurn(async () => {
      if (opens !== this.#opens || state !== this.etag)
        throw new QueryError('This belongs to an earlier state of the mirror.', false);
      const end = (): void => {
        if (signal?.aborted) throw new QueryError('Stopped.', false);
      };
      end();
      let grace: ReturnType<typeof setTimeout> | undefined;
      const outdate = (): void => {
        grace = setTimeout(() => this.stop(), graceMilliseconds);
      };
      signal?.addEventListener('abort', outdate);
      try {
        const opened = this.#opened ?? (await this.#reach());
        if (opened !== state) throw new QueryError('A sync has committed a newer state of the mirror.', true);
        end();
        return await ask();
      } finally {
        signal?.removeEventListener('abort', outdate);
        clearTimeout(grace);
      }
    });
  }

  /** Opens the state that is there now. */
  async #reach(): Promise<string> {
    const { database, key, wasm } = this.#place;
    try {
      const { etag } = await this.#ask<'open'>({ kind: 'open', database, key, wasm });
      this.#opened = etag;
      return etag;
    } catch (error) {
      // A thread opens once.
      this.stop();
      throw error;
    }
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    if (++this.#waiting === 1) this.onBusy(true);
    const turn = this.#last.then(task).finally(() => {
      if (--this.#waiting === 0) this.onBusy(false);
    });
    this.#last = turn.catch(() => {});
    return turn;
  }

  async #ask<Kind extends Asked['kind']>(asked: Asked & { kind: Kind }): Promise<Results[Kind]> {
    this.#worker ??= this.#start();
    const answer = await new Promise<Answer>((take) => {
      this.#take = take;
      this.#worker!.postMessage(asked);
    });
    if ('error' in answer) throw new QueryError(answer.error, answer.isChanged);
    this.requests = answer.requests;
    this.fetchedBytes = answer.fetchedBytes;
    return answer.result as Results[Kind];
  }

  #start(): Worker {
    const worker = new Worker(trusted(this.#place.worker) as unknown as string, { type: 'module' });
    worker.onmessage = ({ data }: MessageEvent<Answer>) => {
      if (worker === this.#worker) this.#take?.(data);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      if (worker === this.#worker) this.stop(event.message || 'SQLite could not be started.');
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

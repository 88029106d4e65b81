import type { Answerer } from './sqlite-thread.ts';
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

interface Options {
  /** The state that is meant, where another one may be shown by now. */
  state?: string;
  /** Aborted once nobody waits for the rows. */
  signal?: AbortSignal | undefined;
}

/** Reads the mirror, one read after the other. All see the state that was opened. */
export class MirrorReader {
  readonly #start: (onError: (message: string) => void) => Answerer;
  #answerer: Answerer | undefined;
  /** The state that it has open. */
  #opened: string | undefined;
  /** Takes the answer to what was asked last. */
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

  /** @param start begins a new thread, or what answers in its place */
  constructor(start: (onError: (message: string) => void) => Answerer) {
    this.#start = start;
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
    this.#answerer?.end();
    this.#answerer = undefined;
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
    try {
      const { etag } = await this.#ask<'open'>({ kind: 'open' });
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
    this.#answerer ??= this.#begin();
    const { ask } = this.#answerer;
    const answer = await new Promise<Answer>((take) => {
      this.#take = take;
      void ask(asked).then(take);
    });
    if ('error' in answer) throw new QueryError(answer.error, answer.isChanged);
    this.requests = answer.requests;
    this.fetchedBytes = answer.fetchedBytes;
    return answer.result as Results[Kind];
  }

  #begin(): Answerer {
    const answerer: Answerer = this.#start((message) => {
      if (answerer === this.#answerer) this.stop(message);
    });
    return answerer;
  }
}

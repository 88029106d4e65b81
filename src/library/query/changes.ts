import { tombstoneOf } from '../../dataverse/read/change-tracking.ts';
import { parseRows } from '../../dataverse/read/page.ts';
import { followPages } from '../../dataverse/read/read-pages.ts';
import type { CallOptions } from '../../dataverse/transport/call.ts';
import type { Transport } from '../../dataverse/transport/transport.ts';
import { checkCount } from '../client/check-count.ts';
import { ChangeTrackingError, UsageError } from '../client/errors.ts';
import type { RequestOptions } from '../client/options.ts';
import { exactTextsOf } from '../rows/exact-numbers.ts';
import type { QuerySource } from './query.ts';

/** A row that was created or updated, or the id of one that was deleted. */
export type Change<T> =
  | { readonly kind: 'upserted'; readonly row: T }
  | { readonly kind: 'deleted'; readonly id: string };

export interface ChangesOptions extends RequestOptions {
  /** The columns to read. With `since`, those of the first read apply. */
  select?: readonly string[] | undefined;
  /** The token of an earlier read. Without it, all rows are read. */
  since?: string | undefined;
  /** @default 5000 */
  pageSize?: number | undefined;
}

/**
 * The changes of a table since a token, or all its rows and a first token. A change can come twice, and a deleted row may
 * be one that you never saw: apply them by id. learn.microsoft.com: "Use change tracking to synchronize data".
 */
export class Changes<T> implements AsyncIterable<Change<T>> {
  readonly #source: QuerySource;
  readonly #options: ChangesOptions;
  #token: string | undefined;

  /** @internal */
  constructor(source: QuerySource, options: ChangesOptions = {}) {
    this.#source = source;
    this.#options = options;
  }

  /**
   * The token for the next read. Store it together with the changes. It expires after seven days by default.
   * @throws UsageError before all changes were read: a token of half a read would lose the rest
   */
  get token(): string {
    if (this.#token !== undefined) return this.#token;
    throw new UsageError('The token is known when all changes were read');
  }

  pages(): AsyncGenerator<Change<T>[]> {
    const { session } = this.#source;
    return session.iterate(this.#options, (transport, options) => this.#pages(transport, options));
  }

  [Symbol.asyncIterator](): AsyncGenerator<Change<T>> {
    return this.#source.session.flatten(this.#options, this.pages());
  }

  async *#pages(transport: Transport, options: CallOptions): AsyncGenerator<Change<T>[]> {
    const table = await this.#source.definition(this.#options);
    const { entitySet } = table;
    const exact = exactTextsOf(this.#source.session.options(this.#options), table);
    const { select, since: link, pageSize } = this.#options;
    if (pageSize !== undefined) checkCount(pageSize, 'pageSize');
    const query = { entitySet, select, link, pageSize, trackChanges: true };
    let token: string | undefined;
    for await (const page of followPages(transport, query, { ...options, exact })) {
      yield parseRows(page).map((row): Change<T> => {
        const deleted = tombstoneOf(row);
        return deleted === undefined
          ? { kind: 'upserted', row: row as T }
          : { kind: 'deleted', id: deleted.id };
      });
      token = page.deltaLink ?? token;
    }
    if (token === undefined) {
      throw new ChangeTrackingError(`Dataverse sent no token for the changes of ${entitySet}`, {
        reason: 'not-enabled',
        hint: 'Turn on "Track changes" for the table.',
      });
    }
    this.#token = token;
  }
}

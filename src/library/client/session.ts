import type { CallOptions } from '../../dataverse/transport/call.ts';
import type { Transport } from '../../dataverse/transport/transport.ts';
import { DefinitionCache } from './definition-cache.ts';
import { mergeOptions, type RequestOptions, toCallOptions } from './options.ts';
import { toPublicError } from './to-public-error.ts';

/** What all parts of one client share: the transport, the options of all calls and the known tables. */
export class Session {
  readonly transport: Transport;
  readonly defaults: RequestOptions;
  readonly definitions: DefinitionCache;

  constructor(transport: Transport, defaults: RequestOptions, definitions = new DefinitionCache()) {
    this.transport = transport;
    this.defaults = defaults;
    this.definitions = definitions;
  }

  /** A session with further options for all calls. It shares connections, limits and known tables. */
  with(options: RequestOptions): Session {
    return new Session(this.transport, mergeOptions(this.defaults, options), this.definitions);
  }

  options(own?: RequestOptions): RequestOptions {
    return mergeOptions(this.defaults, own);
  }

  /** Runs work with the options of the call. @throws only public errors and the reason of the signal */
  async run<T>(
    own: RequestOptions | undefined,
    work: (transport: Transport, options: CallOptions) => Promise<T>,
  ): Promise<T> {
    try {
      return await work(this.transport, toCallOptions(this.options(own)));
    } catch (error) {
      throw toPublicError(error);
    }
  }

  /** The same for work that yields. Nothing is yielded after the signal is aborted, also of what was read before. */
  async *iterate<T>(
    own: RequestOptions | undefined,
    work: (transport: Transport, options: CallOptions) => AsyncIterable<T>,
  ): AsyncGenerator<T> {
    try {
      const options = toCallOptions(this.options(own));
      for await (const item of work(this.transport, options)) {
        options.signal?.throwIfAborted();
        yield item;
      }
      options.signal?.throwIfAborted();
    } catch (error) {
      throw toPublicError(error);
    }
  }

  /** The members of pages, one by one. */
  async *flatten<T>(own: RequestOptions | undefined, pages: AsyncIterable<readonly T[]>): AsyncGenerator<T> {
    const { signal } = this.options(own);
    for await (const page of pages) {
      for (const member of page) {
        signal?.throwIfAborted();
        yield member;
      }
    }
  }
}

/** The rows of pages. */
export async function* rowsOf<T>(pages: AsyncIterable<{ rows: T[] }>): AsyncGenerator<T[]> {
  for await (const { rows } of pages) yield rows;
}

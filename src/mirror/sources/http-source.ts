import { setTimeout as delay } from 'node:timers/promises';
import { ConfigurationError, ConflictError, RetriableError, SyncError } from '../../errors.ts';
import { rememberSecret } from '../../safe-text.ts';
import type { FilePart, StoredFile } from '../../storage/database/database-file.ts';
import { forEachConcurrently } from '../../storage/for-each-concurrently.ts';
import type { MirrorSource } from './mirror-source.ts';

/** The longest range that is asked for at once: `GET /api/database` answers no more. */
const maxRange = 4 * 1024 * 1024;
/** The first request, which also tells the length. It has the first pages. */
const firstRange = 65_536;
const maxConcurrent = 6;
const maxTries = 4;
/** Milliseconds for one range. */
const rangeTimeout = 60_000;

export interface HttpSourceOptions {
  /** Headers of each request, such as `x-functions-key`. Made anew for each, so that a token can be renewed. */
  headers?: () => Record<string, string> | Promise<Record<string, string>>;
  fetch?: typeof fetch;
}

/**
 * A file behind an address that answers ranges with an ETag: `GET /api/database`, or a blob. Each range is asked for with
 * `If-Match`, so no two states are mixed.
 */
export class HttpSource implements MirrorSource {
  readonly name: string;
  readonly #url: URL;
  readonly #options: HttpSourceOptions;

  /** @throws ConfigurationError if the address is neither https nor on this machine */
  constructor(url: URL, options: HttpSourceOptions = {}) {
    this.#url = url;
    this.#options = options;
    this.name = `${url.origin}${url.pathname}`;
    for (const value of url.searchParams.values()) rememberSecret(value);
    const isLocal = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
    if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLocal)) {
      throw this.#fault(`${this.name} is not a https address.`, 'Keys and rows are sent over https only.');
    }
  }

  async open(): Promise<StoredFile> {
    const response = await this.#request(`bytes=0-${firstRange - 1}`);
    const etag = response.headers.get('etag') ?? '';
    const length = Number(/\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1]);
    await response.body?.cancel();
    // A weak ETag does not say that the bytes are the same.
    if (response.status !== 206 || !etag.startsWith('"') || !Number.isSafeInteger(length)) {
      throw this.#fault(
        `${this.name} does not answer ranges with an ETag.`,
        'Use the address of GET /api/database or of the blob, without a proxy that changes responses.',
      );
    }
    return { etag, length, read: (parts) => this.#read(parts, etag) };
  }

  async #read(parts: readonly FilePart[], etag: string): Promise<void> {
    await forEachConcurrently(rangesOf(parts), maxConcurrent, (range) => this.#readRange(range, etag));
  }

  async #readRange({ from, to, parts }: Range, etag: string): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        const bytes = await this.#bytes(from, to, etag);
        for (const { at, into } of parts) into.set(bytes.subarray(at - from, at - from + into.length));
        return;
      } catch (error) {
        // The body was cut short.
        if (error instanceof SyncError) throw error;
        if (tries >= maxTries) throw this.#silent(`${this.name} does not send what it was asked for.`);
        await delay(200 * 2 ** tries);
      }
    }
  }

  async #bytes(from: number, to: number, etag: string): Promise<Uint8Array> {
    const response = await this.#request(`bytes=${from}-${to - 1}`, etag);
    const start = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1];
    const isRight =
      response.status === 206 && Number(start) === from && response.headers.get('etag') === etag;
    const bytes = isRight ? await this.#body(response, to - from) : undefined;
    if (bytes?.length !== to - from) {
      await response.body?.cancel().catch(() => undefined);
      throw this.#fault(
        `${this.name} answered another range than the one that was asked for.`,
        'A proxy may change responses: use the address of the blob.',
      );
    }
    return bytes;
  }

  /** The body, or what it has beyond the length that it should have: no more of it is read. */
  async #body(response: Response, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length + 1);
    let done = 0;
    for await (const part of response.body!) {
      const taken = part.subarray(0, bytes.length - done);
      bytes.set(taken, done);
      done += taken.length;
      if (done === bytes.length) break;
    }
    // A connection that ends early is an error of `fetch` only where the response has a length.
    if (done < length) throw new Error('the body was cut short');
    return bytes.subarray(0, done);
  }

  /** @returns a response with a body to read */
  async #request(range: string, etag?: string): Promise<Response> {
    const { headers, fetch: send = fetch } = this.#options;
    for (let tries = 1; ; tries++) {
      const given = { ...(await headers?.()), range, ...(etag !== undefined && { 'if-match': etag }) };
      const signal = AbortSignal.timeout(rangeTimeout);
      const response = await send(this.#url, { headers: given, redirect: 'manual', signal }).catch(
        () => undefined,
      );
      if (response?.ok) return response;
      await response?.body?.cancel();
      if (response !== undefined) this.#check(response.status);
      if (tries >= maxTries) {
        throw this.#silent(
          response === undefined
            ? `${this.name} does not answer.`
            : `${this.name} answered ${response.status}.`,
        );
      }
      const wanted = Number(response?.headers.get('retry-after')) * 1000;
      await delay(Math.min(wanted > 0 ? wanted : 200 * 2 ** tries, 30_000));
    }
  }

  /** @throws for a status that another try does not change */
  #check(status: number): void {
    if (status === 412) {
      throw new ConflictError(`A sync has replaced the state of ${this.name} that was opened.`, {
        operation: 'read the mirror',
        object: this.name,
        hint: 'Open the new state with refresh(), and ask again.',
      });
    }
    if (status === 401 || status === 403) {
      throw this.#fault(
        `${this.name} answered ${status}: access is denied.`,
        'Give a function key (x-functions-key or ?code=), a SAS token, or the role Storage Blob Data Reader.',
      );
    }
    if (status === 404)
      throw this.#fault(
        `${this.name} answered 404.`,
        'Check the address. Before the first sync there is no database.',
      );
    if (status >= 300 && status < 400) {
      throw this.#fault(
        `${this.name} is elsewhere: it answered ${status}.`,
        'Give the address that it leads to.',
      );
    }
    if (status < 500 && status !== 429 && status !== 408) {
      throw this.#fault(`${this.name} answered ${status}.`, 'Check the address.');
    }
  }

  #silent(message: string): RetriableError {
    const hint = 'Check the address and the network, and try again.';
    return new RetriableError(message, { operation: 'read the mirror', object: this.name, hint });
  }

  #fault(message: string, hint: string): ConfigurationError {
    return new ConfigurationError(message, { operation: 'read the mirror', object: this.name, hint });
  }
}

interface Range {
  from: number;
  to: number;
  parts: FilePart[];
}

/** Parts that lie side by side are one range. */
function rangesOf(parts: readonly FilePart[]): Range[] {
  const ranges: Range[] = [];
  for (const part of parts.toSorted((a, b) => a.at - b.at)) {
    const last = ranges.at(-1);
    const end = part.at + part.into.length;
    if (last !== undefined && last.to === part.at && end - last.from <= maxRange) {
      last.to = end;
      last.parts.push(part);
    } else {
      ranges.push({ from: part.at, to: end, parts: [part] });
    }
  }
  return ranges;
}

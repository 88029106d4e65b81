/** A newer state is in the place of the file that is being read. */
export class ChangedError extends Error {
  override readonly name = 'ChangedError';
}

const chunkBytes = 65_536;
/** So much of the file is kept. */
const keptChunks = 512;
/** The server answers with no more at once. */
const mostChunksAtOnce = 16;

/**
 * A file behind an address, read by ranges of one state. Reads are synchronous, because SQLite's are: for a worker.
 */
export class RemoteFile {
  readonly #address: string;
  readonly #key: string | null;
  readonly etag: string;
  readonly bytes: number;
  /** Chunks by number, those used last at the end. */
  readonly #chunks = new Map<number, Uint8Array>();
  /** The chunk behind the last one that was fetched, and how many are fetched at once there. */
  #next = -1;
  #ahead = 1;
  requests = 0;
  fetchedBytes = 0;

  /** Opens the state that is there now. @throws Error with a message for people */
  constructor(address: string, key: string | null) {
    this.#address = address;
    this.#key = key;
    const request = this.#send('HEAD', {});
    if (request.status !== 200) throw new Error(problemOf(request.status));
    this.etag = request.getResponseHeader('etag') ?? '';
    this.bytes = Number(request.getResponseHeader('content-length'));
  }

  /** Copies a part of the file. What is behind its end is zero. @returns whether all of it is in the file */
  read(into: Uint8Array, at: number): boolean {
    into.fill(0);
    const end = Math.min(at + into.length, this.bytes);
    for (let from = at; from < end; ) {
      const index = Math.floor(from / chunkBytes);
      const within = from - index * chunkBytes;
      const part = this.#chunk(index).subarray(within, within + end - from);
      into.set(part, from - at);
      from += part.length;
      if (part.length === 0) return false;
    }
    return at + into.length <= this.bytes;
  }

  #chunk(index: number): Uint8Array {
    const known = this.#chunks.get(index);
    if (known !== undefined) {
      this.#chunks.delete(index);
      this.#chunks.set(index, known);
      return known;
    }
    // Who reads on gets more at once.
    this.#ahead = index === this.#next ? Math.min(mostChunksAtOnce, this.#ahead * 2) : 1;
    this.#fetch(index, this.#ahead);
    return this.#chunks.get(index)!;
  }

  #fetch(first: number, count: number): void {
    const from = first * chunkBytes;
    const to = Math.min(this.bytes, from + count * chunkBytes) - 1;
    const request = this.#send('GET', { range: `bytes=${from}-${to}`, 'if-match': this.etag });
    if (request.status === 412) throw new ChangedError('A sync has committed a newer state of the mirror.');
    if (request.status !== 206) throw new Error(problemOf(request.status));
    const content = new Uint8Array(request.response as ArrayBuffer);
    if (content.length === 0) throw new Error('The app sent nothing.');
    this.fetchedBytes += content.length;
    for (let at = 0; at < content.length; at += chunkBytes) {
      const chunk = content.subarray(at, at + chunkBytes);
      // The end of an answer that is shorter than asked.
      if (chunk.length < chunkBytes && from + at + chunk.length < this.bytes && at > 0) break;
      this.#chunks.set(first + at / chunkBytes, chunk);
      this.#next = first + at / chunkBytes + 1;
    }
    for (const old of this.#chunks.keys()) {
      if (this.#chunks.size <= keptChunks) break;
      if (old < first || old >= first + count) this.#chunks.delete(old);
    }
  }

  #send(method: string, headers: Record<string, string>): XMLHttpRequest {
    const request = new XMLHttpRequest();
    request.open(method, this.#address, false);
    request.responseType = 'arraybuffer';
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    if (this.#key !== null) request.setRequestHeader('x-functions-key', this.#key);
    this.requests += 1;
    try {
      request.send();
    } catch {
      throw new Error('The app does not answer.');
    }
    return request;
  }
}

function problemOf(status: number): string {
  if (status === 404) return 'There is no database before the first sync.';
  if (status === 401) return 'GET /api/database is closed: sign in again, or use a host key.';
  if (status === 403) return 'GET /api/database is closed to you.';
  return `The app answered with status ${status}.`;
}

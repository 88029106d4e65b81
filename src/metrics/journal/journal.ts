import { type AppendBlobClient, type BlobClient, type ContainerClient, RestError } from '@azure/storage-blob';
import { RetriableError } from '../../errors.ts';
import { JoinedAppends } from './joined-appends.ts';
import {
  isBefore,
  type JournalEntry,
  type PlacedEntry,
  type Position,
  parseTicket,
} from './journal-entry.ts';
import { acquireJournalLease, type JournalLease } from './journal-lease.ts';
import { initialState, type JournalState, readState } from './journal-state.ts';
import { WaitingRows } from './waiting-rows.ts';

/** How things stood at one moment. */
export interface JournalLook {
  /** Whether accepted records wait to be written. */
  pending: boolean;
  /** How far it is written. */
  state: JournalState;
  end: Position;
}

/**
 * The accepted records that are not yet in Dataverse, in the order in which they arrived.
 *
 * Storage queues deliver in any order and more than once, so the records themselves lie here: append blobs
 * of JSON lines, where each append is atomic and gets its place in one order for all instances. The queue
 * only says that there is something to write. How far it is written stands in the state blob, which only
 * the holder of its lease may change.
 *
 * A journal blob is sealed once it is longer than `sealAt`: no append fits any more, on any instance, and
 * the next blob begins. Sealed blobs stay for some days, as the record of what was accepted.
 */
export class Journal {
  readonly #container: ContainerClient;
  readonly #folder: string;
  readonly #sealAt: number;
  #generation = 1;
  #known: JournalState = initialState;
  readonly #waitingRows = new WaitingRows((from, maxBytes) => this.read(from, maxBytes));
  readonly #appends = new JoinedAppends((bytes) => this.#appendBytes(bytes));

  constructor(container: ContainerClient, options: { folder?: string; sealAt?: number } = {}) {
    this.#container = container;
    this.#folder = options.folder ?? 'metrics/journal';
    // An append blob takes 50,000 appends (learn.microsoft.com: Append Block); a line has 250 bytes at least.
    this.#sealAt = options.sealAt ?? 4 * 1024 * 1024;
  }

  /**
   * Puts entries down for good, in this order, and says where.
   * @throws RetriableError where storage does not take them
   */
  append(entries: readonly JournalEntry[]): Promise<Position[]> {
    return this.#appends.add(entries.map((entry) => Buffer.from(`${JSON.stringify(entry)}\n`)));
  }

  /**
   * Whether accepted records wait, and whether poison records lie aside. One request where none
   * wait: the state only ever moves on, and the poison with it, so what was known once still covers the end.
   */
  async look(): Promise<JournalLook> {
    return this.#storage('look into the journal', async () => {
      let end = await this.#end();
      // Past the end is only who was told of an end that is no more: the container was emptied.
      const past = this.#known.generation === end.generation && this.#known.offset > end.length;
      const behind = isBefore(this.#known, { generation: end.generation, offset: end.length });
      if (past || behind) this.#known = await this.state();
      // Another instance may have begun a blob that this one had not heard of.
      if (this.#known.generation > end.generation) {
        this.#generation = this.#known.generation;
        end = await this.#end();
      }
      const to = { generation: end.generation, offset: end.length };
      return { pending: isBefore(this.#known, to), state: this.#known, end: to };
    });
  }

  /** Tells of any row whether a value of it waited at that look. */
  async waiting({ pending, state, end }: JournalLook): Promise<(id: string) => boolean> {
    return pending ? this.#waitingRows.between(state, end) : () => false;
  }

  state(): Promise<JournalState> {
    return readState(this.#stateBlob());
  }

  /** The exclusive right to write the journal's records to Dataverse, or undefined while another has it. */
  async lease(): Promise<JournalLease | undefined> {
    return this.#storage('take the journal’s lease', () =>
      acquireJournalLease(this.#container, this.#stateBlob()),
    );
  }

  /** The entries from a position on, up to so many bytes, and where the next ones begin. */
  async read(from: Position, maxBytes: number): Promise<{ entries: PlacedEntry[]; next: Position }> {
    return this.#storage('read the journal', async () => {
      const found = await this.#length(from.generation);
      if (found === undefined) return { entries: [], next: await this.#firstFrom(from) };
      let length = found;
      if (from.offset >= length) {
        const sealed = length > this.#sealAt || (await this.#length(from.generation + 1)) !== undefined;
        if (!sealed) return { entries: [], next: from };
        // Nothing can come any more; but something may have come between the first look and the seal.
        length = (await this.#length(from.generation)) ?? 0;
        if (from.offset >= length) {
          return { entries: [], next: { generation: from.generation + 1, offset: 0 } };
        }
      }
      const bytes = await this.#blob(from.generation).downloadToBuffer(
        from.offset,
        Math.min(maxBytes, length - from.offset),
      );
      const end = bytes.lastIndexOf(0x0a) + 1;
      return {
        entries: parseLines(bytes.subarray(0, end), from),
        next: { generation: from.generation, offset: from.offset + end },
      };
    });
  }

  /** The entry with this ticket, or undefined where there is none (any more). */
  async find(ticket: string): Promise<PlacedEntry | undefined> {
    const position = parseTicket(ticket);
    if (position === undefined) return undefined;
    return this.#storage('read an entry of the journal', async () => {
      const length = (await this.#length(position.generation)) ?? 0;
      if (position.offset >= length) return undefined;
      const count = Math.min(16_384, length - position.offset);
      const bytes = await this.#blob(position.generation).downloadToBuffer(position.offset, count);
      try {
        return parseLines(bytes.subarray(0, bytes.indexOf(0x0a) + 1), position)[0];
      } catch {
        return undefined; // The ticket points into the middle of a line: nobody was given it.
      }
    });
  }

  /** Removes journals that were written whole and are older than this. The last two always stay. */
  async removeWritten(before: Date): Promise<void> {
    const { generation } = await this.state();
    for await (const blob of this.#blobs()) {
      if (blob.generation < generation - 1 && blob.lastModified < before) {
        await this.#container.getBlobClient(blob.name).deleteIfExists();
      }
    }
  }

  async #appendBytes(bytes: Buffer): Promise<Position> {
    for (;;) {
      const generation = this.#generation;
      try {
        const answer = await this.#blob(generation).appendBlock(bytes, bytes.length, {
          // Fails only where the blob is longer than sealAt already, whatever this append's own size: so all
          // instances agree for ever that it is sealed.
          conditions: { maxSize: this.#sealAt + bytes.length },
        });
        return { generation, offset: Number(answer.blobAppendOffset) };
      } catch (error) {
        const code = error instanceof RestError ? (error.code ?? '') : '';
        if (code === 'MaxBlobSizeConditionNotMet' || code === 'BlockCountExceedsLimit') {
          this.#generation = Math.max(this.#generation, generation + 1);
        } else if (code === 'BlobNotFound') {
          await this.#create(generation);
        } else if (code === 'ContainerNotFound') {
          await this.#container.createIfNotExists();
        } else {
          throw unavailable('append to the journal', error);
        }
      }
    }
  }

  /** Begins a journal, unless the others are past it: a written journal that was removed must not come back. */
  async #create(generation: number): Promise<void> {
    await this.#storage('begin a journal', async () => {
      const state = await this.state();
      if (state.generation > generation) this.#generation = state.generation;
      else await this.#blob(generation).createIfNotExists();
    });
  }

  /** Where to go on where a journal is absent: nobody has begun it yet, or the container was emptied meanwhile. */
  async #firstFrom(from: Position): Promise<Position> {
    for await (const { generation } of this.#blobs()) {
      if (generation > from.generation) return { generation, offset: 0 };
    }
    return from;
  }

  /** All journals, oldest first, as their names are sorted. */
  async *#blobs(): AsyncGenerator<{ generation: number; name: string; lastModified: Date }> {
    for await (const blob of this.#container.listBlobsFlat({ prefix: `${this.#folder}/` })) {
      const generation = Number(/\/(\d+)\.jsonl$/.exec(blob.name)?.[1] ?? 0);
      if (generation > 0) yield { generation, name: blob.name, lastModified: blob.properties.lastModified };
    }
  }

  /** The newest journal and its length. */
  async #end(): Promise<{ generation: number; length: number }> {
    let generation = this.#generation;
    let length = (await this.#length(generation)) ?? 0;
    while (length > this.#sealAt) {
      const next = await this.#length(generation + 1);
      if (next === undefined) break;
      generation += 1;
      length = next;
    }
    this.#generation = Math.max(this.#generation, generation);
    return { generation, length };
  }

  async #length(generation: number): Promise<number | undefined> {
    try {
      return (await this.#blob(generation).getProperties()).contentLength ?? 0;
    } catch (error) {
      if (error instanceof RestError && error.statusCode === 404) return undefined;
      throw error;
    }
  }

  #blob(generation: number): AppendBlobClient {
    return this.#container.getAppendBlobClient(
      `${this.#folder}/${String(generation).padStart(6, '0')}.jsonl`,
    );
  }

  #stateBlob(): BlobClient {
    return this.#container.getBlobClient(`${this.#folder}/state`);
  }

  async #storage<T>(operation: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw unavailable(operation, error);
    }
  }
}

function parseLines(bytes: Buffer, from: Position): PlacedEntry[] {
  const entries: PlacedEntry[] = [];
  for (let start = 0; start < bytes.length; ) {
    const end = bytes.indexOf(0x0a, start);
    const entry = JSON.parse(bytes.toString('utf8', start, end)) as JournalEntry;
    entries.push({ ...entry, position: { generation: from.generation, offset: from.offset + start } });
    start = end + 1;
  }
  return entries;
}

function unavailable(operation: string, error: unknown): unknown {
  if (!(error instanceof RestError) && !(error instanceof Error && error.name === 'AbortError')) return error;
  return new RetriableError(`Storage did not answer as hoped: ${(error as RestError).code ?? error.name}.`, {
    operation,
    object: 'the journal of campaign metrics',
    hint: 'Look at the storage account’s health, and whether the app’s identity may write blobs.',
    cause: error,
  });
}

import type { AppendBlobClient, BlobClient, ContainerClient } from '@azure/storage-blob';
import { errorCode, inContainer, statusOf, withStorageErrors } from '../../storage/errors.ts';
import { forEachConcurrently } from '../../storage/for-each-concurrently.ts';
import { BatchedAppends } from './batched-appends.ts';
import {
  isBefore,
  type JournalEntry,
  type PlacedEntry,
  type Position,
  parseTicket,
  ticketOf,
} from './journal-entry.ts';
import { JournalLease, type JournalState, readState } from './journal-lease.ts';
import { DamagedLineError, maxLineBytes, parseLines } from './journal-lines.ts';
import { JournalOwner } from './journal-owner.ts';
import { PendingRows, type Stretch } from './pending-rows.ts';
import { openEntries } from './settled-entries.ts';
import { readFrom, stragglersOf } from './stragglers.ts';

/** How far the journal is written, at one moment. */
export interface JournalProgress {
  /** Whether accepted records are not written yet. */
  pending: boolean;
  state: JournalState;
  end: Position;
}

const folder = 'metrics/journal';
const maxPendingBytes = 1024 * 1024;
const parallelReads = 8;

/**
 * The accepted records that are not in Dataverse yet, in the order in which they arrived.
 *
 * Storage queues deliver in any order and more than once, so the records are not in the queue but here, in
 * append blobs of JSON lines: each append is atomic, and all instances see the same order. A queue message only
 * tells the drain to start. The state blob says how far the journal is written; only the holder of its lease
 * changes it.
 *
 * A journal blob that is longer than `sealAt` is sealed: no instance can append to it, and the next blob begins.
 * Sealed blobs stay for some days, as a record of what was accepted.
 */
export class Journal {
  readonly #container: ContainerClient;
  readonly #sealAt: number;
  readonly #leaseSeconds: number | undefined;
  readonly #stateBlob: BlobClient;
  readonly #appends = new BatchedAppends((bytes) => this.#append(bytes));
  readonly #pending = new PendingRows();
  /** The stragglers that were read last, by their tickets. */
  #stragglers: ReadonlyMap<string, PlacedEntry> = new Map();
  readonly #owner: JournalOwner;
  /** The newest blob that this instance knows. */
  #generation = 1;

  /**
   * @param options `environment`: the environment of Dataverse that the records are for; any, if it is absent.
   * `leaseSeconds`: 15 to 60, how long a drain that has ended without a word keeps others waiting
   */
  constructor(
    container: ContainerClient,
    options: { sealAt?: number; leaseSeconds?: number; environment?: string } = {},
  ) {
    this.#container = container;
    this.#owner = new JournalOwner(options.environment, this.place);
    this.#stateBlob = container.getBlobClient(`${folder}/state`);
    // An append blob holds 50,000 appends (learn.microsoft.com: Append Block), and a line has at least 250 bytes.
    this.#sealAt = options.sealAt ?? 4 * 1024 * 1024;
    this.#leaseSeconds = options.leaseSeconds;
  }

  /** Tells this journal from others: the storage account and the work container. */
  get place(): string {
    return `${this.#container.accountName}/${this.#container.containerName}`;
  }

  /** Writes entries durably, in this order, and returns their positions. */
  append(entries: readonly JournalEntry[]): Promise<Position[]> {
    return this.#appends.add(entries.map((entry) => Buffer.from(`${JSON.stringify(entry)}\n`)));
  }

  /**
   * Makes sure that the journal is of this environment, once per process. To be awaited before an append.
   * @throws OtherEnvironmentError if it is of another one
   */
  claim(): Promise<void> {
    return this.#owner.claim(this);
  }

  /**
   * How far the journal is written. Records that were acknowledged before the call are before `end`.
   * @throws OtherEnvironmentError
   */
  progress(): Promise<JournalProgress> {
    return onJournal('look up the end of', async () => {
      const [state, known] = await Promise.all([readState(this.#stateBlob), this.#end()]);
      this.#owner.confirm(state);
      let end = known;
      // Another instance has begun a blob that this one does not know yet.
      const { generation } = readFrom(state);
      if (generation > end.generation) {
        this.#generation = generation;
        end = await this.#end();
      }
      return { pending: isBefore(state, end), state, end };
    });
  }

  /**
   * Returns whether a row has a value that is not written yet. If that takes more than one read, every row counts:
   * queueing a record once more is cheaper than finding out.
   */
  async pendingRows({ pending, state, end }: JournalProgress): Promise<(id: string) => boolean> {
    if (!pending) return () => false;
    const [stragglers, { rows, next }] = await Promise.all([this.stragglers(state), this.#rows(state, end)]);
    const open = openEntries(readFrom(state), state.settled, rows);
    const ids = new Set([...stragglers, ...open].map(({ id }) => id));
    return (id) => isBefore(next, end) || ids.has(id);
  }

  /** Whether an entry is not settled yet: neither written, nor replaced by a newer value, nor rejected. */
  async isOpen({ id, position }: PlacedEntry, state: JournalState): Promise<boolean> {
    const from = readFrom(state);
    if (isBefore(position, from)) {
      // Not every value of such a row is kept, but all of them are settled together.
      const stragglers = await this.stragglers(state);
      return stragglers.some((each) => each.id === id && !isBefore(position, each.position));
    }
    if (state.settled === '') return true;
    const { rows } = await this.#rows(state, await onJournal('look up the end of', () => this.#end()));
    const known = rows.find((row) => ticketOf(row.position) === ticketOf(position));
    return known === undefined || openEntries(from, state.settled, rows).includes(known);
  }

  /** The entries that the drain has left behind, oldest first. */
  async stragglers(state: Pick<JournalState, 'stragglers'>): Promise<PlacedEntry[]> {
    const positions = stragglersOf(state);
    const entries = new Map<string, PlacedEntry>();
    await forEachConcurrently(positions, parallelReads, async (position) => {
      const ticket = ticketOf(position);
      const entry = this.#stragglers.get(ticket) ?? (await this.read(position, maxLineBytes)).entries[0];
      if (entry !== undefined) entries.set(ticket, entry);
    });
    this.#stragglers = entries;
    return positions.flatMap((position) => entries.get(ticketOf(position)) ?? []);
  }

  /** The rows of the entries behind those that are read, as far as one read goes. */
  async #rows(state: JournalState, end: Position): Promise<Pick<Stretch, 'rows' | 'next'>> {
    const from = readFrom(state);
    const known = this.#pending.since(from, end);
    const room = maxPendingBytes - (known.next.offset - from.offset);
    const { entries, next } =
      isBefore(known.next, end) && room > 0
        ? await this.read(known.next, room)
        : { entries: [], next: known.next };
    this.#pending.add(known, entries, next);
    return { rows: [...known.rows, ...entries], next };
  }

  state(): Promise<JournalState> {
    return onJournal('read the state of', () => readState(this.#stateBlob));
  }

  /**
   * Acquires the right to write the journal's records to Dataverse; undefined while another instance holds it.
   * @throws OtherEnvironmentError
   */
  lease(): Promise<JournalLease | undefined> {
    return onJournal('lease', async () => {
      const lease = await JournalLease.acquire(this.#container, this.#stateBlob, this.#leaseSeconds);
      if (lease !== undefined) await this.#owner.mark(lease);
      return lease;
    });
  }

  /** Reads the entries from a position on, up to a number of bytes, and returns where the next ones begin. */
  read(from: Position, maxBytes: number): Promise<{ entries: PlacedEntry[]; next: Position }> {
    return onJournal('read', async () => {
      let length = await this.#length(from.generation);
      if (length === undefined) return { entries: [], next: await this.#firstAfter(from) };
      if (from.offset >= length) {
        const sealed = length > this.#sealAt || (await this.#length(from.generation + 1)) !== undefined;
        if (!sealed) return { entries: [], next: from };
        // No entry can come any more, but one may have come between reading the length and sealing.
        length = (await this.#length(from.generation)) ?? 0;
        if (from.offset >= length)
          return { entries: [], next: { generation: from.generation + 1, offset: 0 } };
      }
      const bytes = Math.min(maxBytes, length - from.offset);
      return parseLines(await this.#blob(from.generation).downloadToBuffer(from.offset, bytes), from);
    });
  }

  /** The entry with this ticket; undefined if there is none, or no longer. */
  async find(ticket: string): Promise<PlacedEntry | undefined> {
    const position = parseTicket(ticket);
    if (position === undefined) return undefined;
    try {
      return (await this.read(position, maxLineBytes)).entries[0];
    } catch (error) {
      // A made-up ticket can point into the middle of a line.
      if (error instanceof DamagedLineError) return undefined;
      throw error;
    }
  }

  /** Deletes blobs that are settled completely and older than `before`. The last two always stay. */
  removeWritten(before: Date): Promise<void> {
    return onJournal('delete old blobs of', async () => {
      const state = await readState(this.#stateBlob);
      const { generation } = readFrom(state);
      const needed = new Set(stragglersOf(state).map((position) => position.generation));
      for await (const blob of this.#blobs()) {
        const isSettled = blob.generation < generation - 1 && !needed.has(blob.generation);
        if (isSettled && blob.lastModified < before) {
          await this.#container.getBlobClient(blob.name).deleteIfExists();
        }
      }
    });
  }

  #append(bytes: Buffer): Promise<Position> {
    return onJournal('append to', async () => {
      for (;;) {
        const generation = this.#generation;
        try {
          const answer = await this.#blob(generation).appendBlock(bytes, bytes.length, {
            // Fails exactly if the blob is longer than sealAt before this append, whatever the size of the append:
            // so all instances agree that the blob is sealed.
            conditions: { maxSize: this.#sealAt + bytes.length },
          });
          return { generation, offset: Number(answer.blobAppendOffset) };
        } catch (error) {
          const code = errorCode(error);
          if (code === 'MaxBlobSizeConditionNotMet' || code === 'BlockCountExceedsLimit') {
            this.#generation = Math.max(this.#generation, generation + 1);
          } else if (statusOf(error) === 404) await this.#create(generation);
          else throw error;
        }
      }
    });
  }

  /** Creates a journal blob, unless others are past it: a deleted blob must not come back. */
  async #create(generation: number): Promise<void> {
    const known = readFrom(await readState(this.#stateBlob)).generation;
    if (known > generation) this.#generation = known;
    else await inContainer(this.#container, () => this.#blob(generation).createIfNotExists());
  }

  /** Where to continue if a blob is missing: the next blob, if somebody deleted the ones before it. */
  async #firstAfter(from: Position): Promise<Position> {
    for await (const { generation } of this.#blobs()) {
      if (generation > from.generation) return { generation, offset: 0 };
    }
    return from;
  }

  /** All journal blobs, oldest first. None before the first append, which creates the container. */
  async *#blobs(): AsyncGenerator<{ generation: number; name: string; lastModified: Date }> {
    try {
      for await (const { name, properties } of this.#container.listBlobsFlat({ prefix: `${folder}/` })) {
        const generation = Number(/\/(\d+)\.jsonl$/.exec(name)?.[1] ?? 0);
        if (generation > 0) yield { generation, name, lastModified: properties.lastModified };
      }
    } catch (error) {
      if (statusOf(error) !== 404) throw error;
    }
  }

  /** The end of the newest blob. */
  async #end(): Promise<Position> {
    let generation = this.#generation;
    let offset = (await this.#length(generation)) ?? 0;
    while (offset > this.#sealAt) {
      const next = await this.#length(generation + 1);
      if (next === undefined) break;
      generation += 1;
      offset = next;
    }
    this.#generation = Math.max(this.#generation, generation);
    return { generation, offset };
  }

  async #length(generation: number): Promise<number | undefined> {
    try {
      return (await this.#blob(generation).getProperties()).contentLength ?? 0;
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw error;
    }
  }

  #blob(generation: number): AppendBlobClient {
    return this.#container.getAppendBlobClient(`${folder}/${String(generation).padStart(6, '0')}.jsonl`);
  }
}

/** Runs `work`; its failures name the journal. */
function onJournal<T>(operation: string, work: () => Promise<T>): Promise<T> {
  return withStorageErrors(operation, 'the journal of campaign metrics', work);
}

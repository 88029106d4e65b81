import { type Failure, RetriableError } from '../../errors.ts';
import { DamagedDocumentError, type DocumentStore } from '../../storage/document-store.ts';
import { paths } from './paths.ts';
import type { Catalog, RoundPlan } from './plan.ts';
import type { MergedRound } from './report.ts';
import type { RunDocument } from './run.ts';
import { isMergedRound, isPlan, isRunDocument, isSlice } from './run-shape.ts';
import type { Slice } from './slice.ts';

/** How much is kept in memory, in bytes of JSON. The parsed documents take two to three times as much. */
const defaultKeptBytes = 32_000_000;

/**
 * Reads the documents of runs. Documents that never change once they exist are kept in memory, so that a status page
 * that asks twice a second costs one listing instead of one request per slice. Those used last stay.
 */
export class DocumentReader {
  readonly #store: DocumentStore;
  readonly #maxBytes: number;
  /** In the order of use, the most recent last. */
  readonly #kept = new Map<string, { value: unknown; length: number }>();
  #bytes = 0;

  constructor(store: DocumentStore, maxBytes = defaultKeptBytes) {
    this.#store = store;
    this.#maxBytes = maxBytes;
  }

  /** The size of what is kept, in bytes of JSON. */
  get keptBytes(): number {
    return this.#bytes;
  }

  /**
   * A document that never changes, undefined while it does not exist.
   * @param isOf whether the content is what its readers rely on; asked once, when it comes from storage
   * @throws DamagedDocumentError if another program wrote it
   */
  async claim<T>(name: string, isOf: (value: unknown) => boolean = () => true): Promise<T | undefined> {
    const kept = this.#kept.get(name);
    if (kept !== undefined) {
      this.#kept.delete(name);
      this.#kept.set(name, kept);
      return kept.value as T;
    }
    const read = await this.#store.read<T>(name);
    if (read === undefined) return undefined;
    if (!isOf(read.value)) throw new DamagedDocumentError(name, 'has another form', read.etag);
    this.#keep(name, read.value, read.length);
    return read.value;
  }

  /** Whether a document exists that counts by its existence alone, whatever it contains. */
  async has(name: string): Promise<boolean> {
    try {
      return (await this.claim(name)) !== undefined;
    } catch (error) {
      if (error instanceof DamagedDocumentError) return true;
      throw error;
    }
  }

  /** An error that was stored for a report. Of a damaged document, only that there was one. */
  async storedError(name: string): Promise<Failure | undefined> {
    const unknown = { error: 'Its error is not known: another program wrote over it.', hint: `See ${name}.` };
    try {
      const stored = (await this.#store.read<Partial<Failure> | null>(name))?.value;
      if (stored === undefined) return undefined;
      const { error, hint } = stored ?? {};
      if (typeof error !== 'string') return unknown;
      return { error, hint: typeof hint === 'string' ? hint : undefined };
    } catch (error) {
      if (error instanceof DamagedDocumentError) return unknown;
      throw error;
    }
  }

  /** Keeps a document that the caller has just created, so that nobody reads it back. */
  remember(name: string, value: unknown): void {
    this.#keep(name, value, JSON.stringify(value).length);
  }

  #keep(name: string, value: unknown, length: number): void {
    this.#forget(name);
    // One document must not displace all others.
    if (length > this.#maxBytes / 4) return;
    this.#kept.set(name, { value, length });
    this.#bytes += length;
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#forget(oldest);
    }
  }

  /** Forgets the documents whose names begin with `prefix`: those of a run that is over. */
  forget(prefix: string): void {
    for (const name of [...this.#kept.keys()]) {
      if (name.startsWith(prefix)) this.#forget(name);
    }
  }

  #forget(name: string): void {
    this.#bytes -= this.#kept.get(name)?.length ?? 0;
    this.#kept.delete(name);
  }

  plan(runId: string, round: number): Promise<RoundPlan | undefined> {
    return this.claim(paths.plan(runId, round), (value) => isPlan(value, runId, round));
  }

  /** A slice: the first one may be in the plan of its round. */
  async slice(runId: string, round: number, entity: string, slice: number): Promise<Slice | undefined> {
    const planned = slice === 0 ? (await this.plan(runId, round))?.slices : undefined;
    if (planned !== undefined && Object.hasOwn(planned, entity)) return planned[entity];
    return this.claim(paths.slice(runId, round, entity, slice), isSlice);
  }

  /** Why a table has failed; undefined while it has not. The document counts by its existence, so a damaged one does too. */
  async failure(runId: string, round: number, entity: string): Promise<Failure | undefined> {
    const name = paths.failed(runId, round, entity);
    const kept = this.#kept.get(name);
    if (kept !== undefined) return kept.value as Failure;
    const stored = await this.storedError(name);
    if (stored !== undefined) this.remember(name, stored);
    return stored;
  }

  merged(runId: string, round: number): Promise<MergedRound | undefined> {
    return this.claim(paths.merged(runId, round), isMergedRound);
  }

  /** @throws RetriableError if the catalog does not exist, although it was stored before the plan that names it */
  async catalog(digest: string): Promise<Catalog> {
    const catalog = await this.claim<Catalog>(paths.catalog(digest));
    if (catalog) return catalog;
    throw new RetriableError(`The catalog ${digest} is missing.`, {
      object: paths.catalog(digest),
      hint: 'Blobs of the work container were deleted during a run. The next run creates them again.',
    });
  }

  /** @throws DamagedDocumentError if another program wrote the document */
  async run(runId: string): Promise<RunDocument | undefined> {
    const name = paths.run(runId);
    const found = await this.#store.read<RunDocument>(name);
    if (found === undefined || isRunDocument(found.value, runId)) return found?.value;
    throw new DamagedDocumentError(name, 'is not the report of a run', found.etag);
  }

  /** The slices of a table in a round, in order. */
  async slices(runId: string, round: number, entity: string): Promise<Slice[]> {
    const slices: Slice[] = [];
    for (;;) {
      const slice = await this.slice(runId, round, entity, slices.length);
      if (slice === undefined) return slices;
      slices.push(slice);
      if (slice.next === undefined) return slices;
    }
  }
}

import { type Failure, RetriableError } from '../../errors.ts';
import type { DocumentStore } from '../../storage/document-store.ts';
import type { Catalog } from './catalog.ts';
import { paths } from './paths.ts';
import type { RoundPlan } from './plan.ts';
import type { MergedRound } from './report.ts';
import type { RunDocument } from './run.ts';
import type { Slice } from './slice.ts';

/** How many documents are kept in memory. */
const keptDocuments = 2000;

/**
 * Reads the documents of runs. Documents that never change once they exist are kept in memory, so that a status page
 * that asks twice a second costs one listing instead of one request per slice.
 */
export class DocumentReader {
  readonly #store: DocumentStore;
  readonly #kept = new Map<string, unknown>();

  constructor(store: DocumentStore) {
    this.#store = store;
  }

  /** A document that never changes, undefined while it does not exist. */
  async claim<T>(name: string): Promise<T | undefined> {
    const kept = this.#kept.get(name);
    if (kept !== undefined) return kept as T;
    const read = await this.#store.read<T>(name);
    if (read === undefined) return undefined;
    this.remember(name, read.value);
    return read.value;
  }

  /** Keeps a document that the caller has just created, so that nobody reads it back. */
  remember(name: string, value: unknown): void {
    if (this.#kept.size >= keptDocuments) this.#kept.delete(this.#kept.keys().next().value!);
    this.#kept.set(name, value);
  }

  plan(runId: string, round: number): Promise<RoundPlan | undefined> {
    return this.claim(paths.plan(runId, round));
  }

  slice(runId: string, round: number, entity: string, slice: number): Promise<Slice | undefined> {
    return this.claim(paths.slice(runId, round, entity, slice));
  }

  failure(runId: string, round: number, entity: string): Promise<Failure | undefined> {
    return this.claim(paths.failed(runId, round, entity));
  }

  merged(runId: string, round: number): Promise<MergedRound | undefined> {
    return this.claim(paths.merged(runId, round));
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

  async run(runId: string): Promise<RunDocument | undefined> {
    return (await this.#store.read<RunDocument>(paths.run(runId)))?.value;
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

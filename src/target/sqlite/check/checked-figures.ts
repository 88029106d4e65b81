import { ConflictError } from '../../../errors.ts';
import { type DocumentStore, unlessDamaged } from '../../../storage/document-store.ts';

/** What a check found out that merges correct: beside the database. @param database its name, unless it is the default one */
function figuresName(database: string | undefined): string {
  return database === undefined ? 'checked-figures.json' : `checked-figures-${database}.json`;
}

/** Figures that a check has counted, and that no merge has taken over yet. */
export interface CheckedFigures {
  /** When the check began: ISO 8601, UTC. A count of all references that began later is newer. */
  at?: string | undefined;
  /** Logical names of tables whose row count is wrong: the next merge of their rows counts them. */
  recount: readonly string[];
  /** By foreign key: references whose target is absent. */
  dangling: Readonly<Record<string, number>>;
}

/** Passes figures from the check to the merges. Who takes them over twice does no harm. */
export class CheckedFiguresFile {
  readonly #documents: DocumentStore;
  readonly #name: string;

  /** @param database the name of the database, unless it is the default one */
  constructor(documents: DocumentStore, database?: string) {
    this.#documents = documents;
    this.#name = figuresName(database);
  }

  async read(): Promise<{ figures: CheckedFigures; etag: string } | undefined> {
    const found = await unlessDamaged(this.#documents.read<Partial<CheckedFigures> | null>(this.#name));
    if (found === undefined) return undefined;
    const { at, recount, dangling } = found.value ?? {};
    return {
      etag: found.etag,
      figures: {
        at: typeof at === 'string' ? at : undefined,
        recount: Array.isArray(recount) ? recount : [],
        dangling: typeof dangling === 'object' && dangling !== null ? dangling : {},
      },
    };
  }

  /** Replaces the figures of the check before. */
  write(figures: CheckedFigures): Promise<void> {
    return this.#documents.put(this.#name, figures);
  }

  /** Deletes the figures: the file that they were counted in is replaced. */
  async forget(): Promise<void> {
    await this.#documents.deletePrefix(this.#name);
  }

  /**
   * The figures are in the mirror, but for the counts of tables that were not merged.
   * @param merged logical names
   */
  async taken(figures: CheckedFigures, etag: string, merged: ReadonlySet<string>): Promise<void> {
    const recount = figures.recount.filter((name) => !merged.has(name));
    try {
      if (recount.length === 0) await this.#documents.deleteIfUnchanged(this.#name, etag);
      else if (recount.length < figures.recount.length || Object.keys(figures.dangling).length > 0)
        await this.#documents.replaceIfUnchanged(this.#name, { recount, dangling: {} }, etag);
    } catch (error) {
      // A check has written newer ones.
      if (!(error instanceof ConflictError)) throw error;
    }
  }
}

import { isBefore, type PlacedEntry, type Position } from './journal-entry.ts';

/** A stretch of one blob of the journal. */
export interface Stretch {
  /** Where it begins, and where the lines begin that it does not have. */
  from: Position;
  next: Position;
  rows: readonly Pick<PlacedEntry, 'id' | 'position'>[];
}

/**
 * The rows of the lines that are not written yet, as far as this instance has read them. Lines never change, so while
 * Dataverse is slow, each request reads only those that are new.
 */
export class PendingRows {
  #known: Stretch | undefined;

  /**
   * What is known from the position on that the journal is written to.
   * @param end the end of the journal; if it is before what is known, somebody has deleted the journal's blobs
   */
  since(written: Position, end: Position): Stretch {
    const known = this.#known;
    const isKnown =
      known !== undefined &&
      known.next.generation === written.generation &&
      !isBefore(written, known.from) &&
      !isBefore(known.next, written) &&
      !isBefore(end, known.next);
    if (!isKnown) return { from: written, next: written, rows: [] };
    const rows = known.rows.filter(({ position }) => !isBefore(position, written));
    return { from: written, next: known.next, rows };
  }

  /** Adds the lines that were read after a stretch, unless another request has read more by now. */
  add(stretch: Stretch, entries: readonly PlacedEntry[], next: Position): void {
    // A read that moves on to the next blob says nothing about its lines.
    if (next.generation !== stretch.from.generation) return;
    const known = this.#known;
    if (known !== undefined && isBefore(stretch.from, known.from)) return;
    if (known?.next.generation === next.generation && isBefore(next, known.next)) return;
    const more = entries.map(({ id, position }) => ({ id, position }));
    this.#known = { from: stretch.from, next, rows: [...stretch.rows, ...more] };
  }
}

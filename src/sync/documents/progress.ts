/**
 * How far the slices of this process have come. Only for people who watch: the truth is in the slices' claims,
 * and a slice that runs elsewhere shows up when it is claimed.
 */
export interface Progress {
  rowsRead: number;
  pages: number;
  bytes: number;
}

export class ProgressBoard {
  readonly #slices = new Map<string, Progress>();

  static #key(runId: string, round: number, entity: string): string {
    return `${runId}/${round}/${entity}`;
  }

  set(runId: string, round: number, entity: string, progress: Progress): void {
    this.#slices.set(ProgressBoard.#key(runId, round, entity), { ...progress });
  }

  get(runId: string, round: number, entity: string): Progress | undefined {
    return this.#slices.get(ProgressBoard.#key(runId, round, entity));
  }

  clear(runId: string, round: number, entity: string): void {
    this.#slices.delete(ProgressBoard.#key(runId, round, entity));
  }
}

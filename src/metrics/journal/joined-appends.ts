import type { Position } from './journal-entry.ts';

interface Waiting {
  lines: readonly Buffer[];
  resolve: (positions: Position[]) => void;
  reject: (error: unknown) => void;
}

/** One append takes far more (100 MiB; learn.microsoft.com: Append Block); less is sooner done. */
const maxBytes = 3 * 1024 * 1024;

/**
 * Joins the appends that wait while another one is under way, so fifty callers cost little more than one.
 * Each is told where its lines came to stand.
 */
export class JoinedAppends {
  readonly #append: (bytes: Buffer) => Promise<Position>;
  readonly #waiting: Waiting[] = [];
  #busy = false;

  /** @param append puts bytes down for good and says where they begin */
  constructor(append: (bytes: Buffer) => Promise<Position>) {
    this.#append = append;
  }

  add(lines: readonly Buffer[]): Promise<Position[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ lines, resolve, reject });
      if (!this.#busy) void this.#work();
    });
  }

  async #work(): Promise<void> {
    this.#busy = true;
    while (this.#waiting.length > 0) {
      const batch = this.#take();
      try {
        let { generation, offset } = await this.#append(Buffer.concat(batch.flatMap((item) => item.lines)));
        for (const item of batch) {
          item.resolve(
            item.lines.map((line) => {
              const position = { generation, offset };
              offset += line.length;
              return position;
            }),
          );
        }
      } catch (error) {
        for (const item of batch) item.reject(error);
      }
    }
    this.#busy = false;
  }

  /** As many as fit, but at least one. */
  #take(): Waiting[] {
    let bytes = 0;
    const tooMany = this.#waiting.findIndex((item) => {
      bytes += item.lines.reduce((sum, line) => sum + line.length, 0);
      return bytes > maxBytes;
    });
    return this.#waiting.splice(0, tooMany === -1 ? this.#waiting.length : Math.max(1, tooMany));
  }
}

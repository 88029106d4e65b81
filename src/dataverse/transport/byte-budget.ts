/** The bytes of one response that a budget has admitted. */
export interface BudgetHold {
  /**
   * Waits until this many more bytes fit in.
   * @throws the reason of the signal
   */
  reserve(bytes: number, signal: AbortSignal): Promise<void>;
  /** Says that the response is read to its end: it asks for no more, and keeps what it has. */
  complete(): void;
  /** Gives all bytes back. Can be called again. */
  close(): void;
}

/** So many bytes are always admitted: most answers to writes and errors have fewer. */
const small = 65_536;

interface Waiter {
  hold: object;
  bytes: number;
  start(): void;
}

/**
 * Bounds the bytes of all responses that are in memory at the same time. A response that does not fit in waits before
 * the rest of it is read, so that the connection slows the server down. The oldest one of those that are still read never
 * waits: it may exceed the budget by what a single response may have, and in return responses never wait for each other
 * for ever.
 */
export class ByteBudget {
  readonly #max: number;
  #used = 0;
  /** The bytes of each response, the oldest first. */
  readonly #holds = new Map<object, number>();
  /** Those that are still read, the oldest first. */
  readonly #reading = new Set<object>();
  readonly #waiting = new Set<Waiter>();

  constructor(maxBytes: number) {
    this.#max = maxBytes;
  }

  /** The bytes of all open responses. */
  get used(): number {
    return this.#used;
  }

  open(): BudgetHold {
    const hold = {};
    this.#holds.set(hold, 0);
    this.#reading.add(hold);
    return {
      reserve: (bytes, signal) => this.#reserve(hold, bytes, signal),
      complete: () => this.#complete(hold),
      close: () => this.#close(hold),
    };
  }

  async #reserve(hold: object, bytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#fits(hold, bytes)) return this.#add(hold, bytes);
    await new Promise<void>((resolve, reject) => {
      const waiter = { hold, bytes, start: () => done(resolve) };
      const done = (settle: () => void) => {
        signal.removeEventListener('abort', onAbort);
        this.#waiting.delete(waiter);
        settle();
      };
      const onAbort = () => done(() => reject(signal.reason));
      signal.addEventListener('abort', onAbort);
      this.#waiting.add(waiter);
    });
  }

  #fits(hold: object, bytes: number): boolean {
    const [oldest] = this.#reading;
    return hold === oldest || bytes <= small || this.#used + bytes <= this.#max;
  }

  #add(hold: object, bytes: number): void {
    this.#holds.set(hold, (this.#holds.get(hold) ?? 0) + bytes);
    this.#used += bytes;
  }

  #close(hold: object): void {
    this.#used -= this.#holds.get(hold) ?? 0;
    this.#holds.delete(hold);
    this.#complete(hold);
  }

  #complete(hold: object): void {
    this.#reading.delete(hold);
    for (const waiter of [...this.#waiting]) {
      if (!this.#fits(waiter.hold, waiter.bytes)) continue;
      this.#add(waiter.hold, waiter.bytes);
      waiter.start();
    }
  }
}

import { subscribe } from 'node:diagnostics_channel';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/** Counts the HTTP requests of this process, the bytes that it receives, and the time. */
export class Meter {
  #requests = 0;
  #bytes = 0;
  #began = performance.now();
  readonly #seen = new WeakMap<Socket, number>();

  constructor() {
    subscribe('http.client.request.start', () => {
      this.#requests += 1;
    });
    subscribe('http.client.response.finish', (message) => {
      const { socket } = (message as { response: IncomingMessage }).response;
      this.#bytes += socket.bytesRead - (this.#seen.get(socket) ?? 0);
      this.#seen.set(socket, socket.bytesRead);
    });
  }

  /** The figures since the last call. */
  take(): { requests: number; bytes: number; seconds: number } {
    const seconds = (performance.now() - this.#began) / 1000;
    const figures = { requests: this.#requests, bytes: this.#bytes, seconds };
    this.#requests = 0;
    this.#bytes = 0;
    this.#began = performance.now();
    return figures;
  }
}

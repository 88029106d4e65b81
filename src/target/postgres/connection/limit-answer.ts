import type { Client } from 'pg';

/**
 * Ends a connection whose server sends more bytes than these. An error quotes the value that it is about in whole, and one
 * that is too long for a text of JavaScript would end the process.
 * @returns `isExceeded` says whether that has happened; `stop` ends the count
 */
export function limitAnswer(
  { connection: { stream } }: Client,
  maxBytes: number,
): { isExceeded: () => boolean; stop: () => void } {
  let left = maxBytes;
  const count = (chunk: Uint8Array): void => {
    left -= chunk.byteLength;
    if (left < 0) stream.destroy();
  };
  stream.on('data', count);
  return { isExceeded: () => left < 0, stop: () => void stream.off('data', count) };
}

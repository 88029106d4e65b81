import type { Random } from '../rows/random.ts';

/** A GIF of one pixel in some colour, in base64. */
export function someImage(random: Random): string {
  const colour = [random.below(256), random.below(256), random.below(256)];
  return Buffer.from([...head, ...colour, 255, 255, 255, ...tail]).toString('base64');
}

const head = [...Buffer.from('GIF89a'), 1, 0, 1, 0, 0x80, 0, 0];
const tail = [0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x44, 1, 0, 0x3b];

import fc from 'fast-check';
import { it } from 'vitest';
import { isLong } from '../long.ts';

/** How much more the long form does. */
const longRuns = 100;
/** Another seed each day. */
const today = Math.floor(Date.now() / 86_400_000);

/**
 * Declares a test of random input. Its title has the seed. A failure prints the shortest input that it finds. Run it
 * again with `FUZZ_SEED` and `FUZZ_PATH` (and `-- --mode long` if that is how it failed). `FUZZ_RUNS` sets the number of
 * cases.
 * @param options.runs cases of the short form
 * @param options.long cases of the long form. @default 50 times as many
 */
export function fuzz<T>(
  what: string,
  input: fc.Arbitrary<T>,
  options: { seed: number; runs: number; long?: number },
  check: (input: T) => void | Promise<void>,
): void {
  const { FUZZ_SEED, FUZZ_RUNS, FUZZ_PATH } = process.env;
  const seed = Number(FUZZ_SEED ?? (isLong ? today : options.seed));
  const long = options.long ?? options.runs * longRuns;
  const runs = Number(FUZZ_RUNS ?? (isLong ? long : options.runs));
  it(`${what} (${runs} cases, seed ${seed})`, { timeout: 120_000 + runs * 10_000 }, async () => {
    const property = fc.asyncProperty(input, async (value) => void (await check(value)));
    // Shrinking repeats the case. What takes long to run is not made shorter for hours.
    await fc.assert(property, { seed, numRuns: runs, path: FUZZ_PATH, interruptAfterTimeLimit: undefined });
  });
}

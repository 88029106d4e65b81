import fc from 'fast-check';
import { it } from 'vitest';
import { startAzurite } from '../azurite.ts';
import { randomHistory } from './history-steps.ts';
import { World } from './history-world.ts';

/**
 * Declares the test that lives random histories. A failure prints its seed, its path and the history itself:
 * run it again with `HISTORIES_SEED` and `HISTORIES_PATH`, or others with `HISTORIES_SEED` and `HISTORIES_RUNS`;
 * `HISTORIES_SHRINK=1` looks for a shorter history that fails.
 */
export function histories(
  what: string,
  options: { seed: number; runs: number; drift: boolean; onStorageEmulator?: boolean },
): void {
  const { HISTORIES_SEED, HISTORIES_RUNS, HISTORIES_PATH, HISTORIES_SHRINK } = process.env;
  const seed = Number(HISTORIES_SEED ?? options.seed);
  const runs = Number(HISTORIES_RUNS ?? options.runs);
  it(`equals the truth after each sync of ${runs} random histories ${what} (seed ${seed})`, {
    timeout: runs * 10_000,
  }, async () => {
    const azurite = options.onStorageEmulator ? await startAzurite() : undefined;
    const storage = azurite === undefined ? {} : { connectionString: azurite.connectionString };
    const property = fc.asyncProperty(randomHistory(options.drift), (history) =>
      World.live(history, storage),
    );
    try {
      await fc.assert(property, {
        seed,
        numRuns: runs,
        endOnFailure: HISTORIES_SHRINK === undefined,
        ...(HISTORIES_PATH === undefined ? {} : { path: HISTORIES_PATH }),
      });
    } finally {
      await azurite?.stop();
    }
  });
}

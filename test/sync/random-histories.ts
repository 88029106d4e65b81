import fc from 'fast-check';
import { it } from 'vitest';
import { startAzurite } from '../azurite.ts';
import { Fabric } from '../fabric/fabric.ts';
import { isLong } from '../long.ts';
import { startPostgres } from '../postgres.ts';
import { startPostgresProxy } from '../postgres-proxy.ts';
import { narrowHistory, randomHistory } from './history-steps.ts';
import { World, type WorldOptions } from './history-world.ts';

/** How much more the long form does. */
const longRuns = 75;
export const steps = { short: 25, long: 60 };

/** The normal form. The seeds are those with which few histories have it all: coverage.test.ts. */
export const withoutDrift = { seed: 5579, runs: 8, drift: false };
export const withDrift = { seed: 915, runs: 8, drift: true };

/** Another seed each day. */
const today = Math.floor(Date.now() / 86_400_000);

/**
 * Declares the test of random histories. A failure prints its seed, its path and the history itself. Run it again
 * with `HISTORIES_SEED` and `HISTORIES_PATH` (and `-- --mode long` if that is how it failed). `HISTORIES_SEED` and
 * `HISTORIES_RUNS` try others. `HISTORIES_SHRINK=1` looks for a shorter history that fails.
 */
export function histories(
  what: string,
  options: {
    seed: number;
    runs: number;
    /** How many the long form lives. @default 75 times as many */
    inLong?: number;
    drift: boolean;
    onStorageEmulator?: boolean;
    inPostgres?: boolean;
    /** Changed tables are exported to a landing zone. */
    withExport?: boolean;
    /** Most syncs are of some tables. */
    narrow?: boolean;
  } & Pick<WorldOptions, 'cacheMegabytes' | 'scanRows' | 'databases'>,
): void {
  const { HISTORIES_SEED, HISTORIES_RUNS, HISTORIES_PATH, HISTORIES_SHRINK } = process.env;
  const seed = Number(HISTORIES_SEED ?? (isLong ? today : options.seed));
  const runs = Number(
    HISTORIES_RUNS ?? (isLong ? (options.inLong ?? options.runs * longRuns) : options.runs),
  );
  it(`equals the truth after each sync of ${runs} random histories ${what} (seed ${seed})`, {
    timeout: runs * (isLong ? 60_000 : 30_000),
  }, async () => {
    const { onStorageEmulator, withExport } = options;
    const azurite = onStorageEmulator || withExport ? await startAzurite() : undefined;
    const { cacheMegabytes, scanRows, databases } = options;
    const world = {
      ...{ cacheMegabytes, scanRows, databases },
      ...(azurite && onStorageEmulator && { connectionString: azurite.connectionString }),
    };
    const length = isLong ? steps.long : steps.short;
    const property = fc.asyncProperty(
      options.narrow ? narrowHistory(length) : randomHistory(options.drift, length),
      async (history) => {
        const postgres = options.inPostgres
          ? await startPostgresProxy(await (await startPostgres()).createDatabase())
          : undefined;
        try {
          const fabric = withExport ? await Fabric.create(azurite!.connectionString) : undefined;
          await World.live(history, { ...world, postgres, fabric });
        } finally {
          await postgres?.stop();
        }
      },
    );
    try {
      await fc.assert(property, {
        seed,
        numRuns: runs,
        endOnFailure: HISTORIES_SHRINK === undefined,
        path: HISTORIES_PATH,
      });
    } finally {
      await azurite?.stop();
    }
  });
}

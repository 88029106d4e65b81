import { describe, expect, it } from 'vitest';
import { sampleOf } from '../../long.ts';
import { faultKinds, type HistoryConfig, plainSync, type Step, type SyncStep } from '../history-steps.ts';
import { World } from '../history-world.ts';

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, n) => from + n);

/** One table for each way to find changes, with every option. Numbers are places in the world's candidates. */
const config: HistoryConfig = {
  entities: [
    { table: 0, filtered: false, deletes: 'remove', history: true, rawJson: true },
    { table: 2, filtered: false, deletes: 'mark', history: true, rawJson: false },
    { table: 9, filtered: false, deletes: 'remove', history: false, rawJson: false },
    { table: 3, filtered: true, deletes: 'mark', history: true, rawJson: false },
    { table: 7, filtered: false, deletes: 'remove', history: false, rawJson: false },
  ],
  seed: 1,
  rows: 60,
  pageSize: 7,
  smallSlices: true,
  overlapSeconds: 120,
  wideVersions: false,
  versionless: undefined,
  verifies: false,
};

/** A first sync, some changes of every table, and the sync that something happens to. */
function historyWith(sync: Partial<SyncStep>): { config: HistoryConfig; steps: Step[] } {
  const changes: Step[] = range(0, 4).flatMap((table) => [
    { do: 'create', table, count: 2, seed: table, backdated: false },
    { do: 'update', table, row: 3, count: 4, seed: table, backdated: false },
    { do: 'delete', table, row: 1, count: 1 },
    { do: 'reparent', table, row: 5, lookup: 1, target: 3 },
  ]);
  return { config, steps: [plainSync, ...changes, { ...plainSync, ...sync }] };
}

describe('the mirror equals the truth', () => {
  // Odd numbers: a run that the timer started, which is planned where it starts.
  it.each(sampleOf(range(1, 13), 3))(
    'after the process died at write %i and its run was resumed',
    async (kill) => {
      expect(await World.live(historyWith({ kill, seed: kill }))).toBe(1);
    },
  );

  it.each(sampleOf(faultKinds, 2))(
    'after the fault %s at any request',
    { timeout: 900_000 },
    async (kind) => {
      for (const after of sampleOf(range(0, 24), 1)) {
        for (const times of sampleOf([1, 5], 1))
          await World.live(historyWith({ faults: [{ kind, after, times }] }));
      }
    },
  );
});

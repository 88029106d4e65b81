/**
 * The strategies that read a whole table, best first: a table is read by the first one that it allows.
 * `strategy` in entities.json accepts these names. `src/sync/strategies/` holds the code of each.
 */
export const wholeTableStrategies = ['delta', 'modifiedon', 'full'] as const;

/** How the changes of a table are found. `filtered` is the strategy of tables with `filtered: true`. */
export type StrategyName = (typeof wholeTableStrategies)[number] | 'filtered';

/** How often all keys of a table are compared: in every Nth run (0: in none), or after a time. */
export type Interval = { runs: number } | { seconds: number };

const unitSeconds = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/** A time, as `reconcileEvery` takes it: `90s`, `30m`, `1h`, `1d`. `0s` is in every run. */
export const intervalPattern = /^(\d+(?:\.\d+)?)\s*([smhd])$/;

/** What `reconcileEvery` of a table or of the app means: a time, or a number of runs as in earlier versions. */
export function intervalOf(reconcileEvery: number | string): Interval {
  const [, value, unit] = intervalPattern.exec(String(reconcileEvery)) ?? [];
  if (value === undefined) return { runs: Number(reconcileEvery) };
  return { seconds: Number(value) * unitSeconds[unit as keyof typeof unitSeconds] };
}

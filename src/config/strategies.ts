/**
 * The strategies that read a whole table, best first: a table is read by the first one that it allows.
 * `strategy` in entities.json accepts these names. `src/sync/strategies/` holds the code of each.
 */
export const wholeTableStrategies = ['delta', 'modifiedon', 'full'] as const;

/** How the changes of a table are found. `filtered` is the strategy of tables with `filtered: true`. */
export type StrategyName = (typeof wholeTableStrategies)[number] | 'filtered';

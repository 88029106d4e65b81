import { type StrategyName, wholeTableStrategies } from '../../config/strategies.ts';
import type { TablePlan } from '../documents/plan.ts';
import type { StrategyRead } from '../documents/slice.ts';
import { strategies } from '../strategies/registry.ts';
import type { PlanContext } from '../strategies/strategy.ts';

/**
 * Plans how one table is read in this run: by the first strategy that allows it, starting with the configured one or
 * else the best one. The next one that allows it is the fallback.
 */
export function planTable(context: PlanContext): TablePlan {
  const { config, rereadReason } = context;
  const { refusedOptions } = context.state ?? {};
  const refusals: string[] = [];
  const usable: StrategyName[] = [];
  for (const name of candidates(context)) {
    const refusal = strategies[name].refusal(context);
    if (refusal === undefined) usable.push(name);
    else if (usable.length === 0) refusals.push(refusal);
  }
  // The last candidate refuses no table.
  const [best, next] = usable as [StrategyName, StrategyName?];
  const isConfigured = config.strategy !== undefined && !config.filtered;
  const reason =
    refusals.length > 0 ? refusals.join(' and ') : isConfigured ? 'configured' : strategies[best].reason;
  const readBy = (strategy: StrategyName): StrategyRead => ({
    strategy,
    read: strategies[strategy].plan(context),
  });
  return {
    config,
    ...readBy(best),
    fallback: next && readBy(next),
    knownAt: context.state?.syncedAt,
    rowBytes: context.state?.rowBytes,
    omit: refusedOptions && context.now < new Date(refusedOptions.until) ? refusedOptions.options : undefined,
    reread: rereadReason,
    reason:
      rereadReason === undefined || context.state === undefined
        ? reason
        : `${reason}; all rows are read again: ${rereadReason}`,
  };
}

function candidates({ config }: PlanContext): readonly StrategyName[] {
  if (config.filtered) return ['filtered'];
  return wholeTableStrategies.slice(config.strategy && wholeTableStrategies.indexOf(config.strategy));
}

import type { StrategyName } from '../../config/strategies.ts';
import type { TableState } from '../../target/state.ts';
import type { PlanContext } from './strategy.ts';

/** The strategies that a remembered refusal is about. Earlier versions knew one, change tracking. */
export function refusedStrategies(fallback: TableState['fallback']): readonly StrategyName[] {
  return fallback === undefined ? [] : (fallback.refused ?? ['delta']);
}

/** Why Dataverse refused a strategy lately; undefined if it did not, or if it is to be tried again. */
export function rememberedRefusal(strategy: StrategyName, { state, now }: PlanContext): string | undefined {
  const fallback = state?.fallback;
  if (fallback === undefined || now >= new Date(fallback.until)) return undefined;
  if (!refusedStrategies(fallback).includes(strategy)) return undefined;
  return `${fallback.reason} (tried again after ${fallback.until})`;
}

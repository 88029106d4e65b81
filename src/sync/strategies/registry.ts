import type { StrategyName } from '../../config/strategies.ts';
import type { StrategyRead } from '../documents/slice.ts';
import { delta } from './delta.ts';
import { filtered } from './filtered.ts';
import { full } from './full.ts';
import { modifiedon } from './modifiedon.ts';
import { isRowsById, rowsById } from './rows-by-id.ts';
import type { Reading, Strategy } from './strategy.ts';

export const strategies: Readonly<Record<StrategyName, Strategy>> = { delta, modifiedon, full, filtered };

/** How a read goes: as its strategy does it, or by id. */
export function readingOf({ strategy, read }: StrategyRead): Reading {
  return isRowsById(read) ? rowsById : strategies[strategy];
}

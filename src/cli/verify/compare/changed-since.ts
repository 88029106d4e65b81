import { knownDeltaVersion } from '../../../sync/strategies/delta-version.ts';
import type { TableState } from '../../../target/state.ts';
import type { Suspect } from './table-rows.ts';

/** What tells whether a row was changed after the last sync read its table. */
export interface SyncPoint {
  /** A row version that the database had reached by then. */
  version: bigint | undefined;
  /** The greatest `modifiedon` that the sync read. */
  watermark: string | undefined;
}

/**
 * Row versions come from one counter of the environment, and delta tokens have its value at the time of their read. Other
 * tables show at least their own greatest version.
 * @param states of all tables of the mirror
 * @param greatest the greatest version among the rows of the table
 */
export function syncPointOf(
  state: TableState,
  states: readonly TableState[],
  greatest: bigint | undefined,
): SyncPoint {
  const own = knownDeltaVersion(state);
  if (own !== undefined && state.strategy === 'delta') return { version: BigInt(own), watermark: undefined };
  if (state.watermark !== undefined) return { version: greatest, watermark: state.watermark };
  const others = states.flatMap((one) => {
    const version = knownDeltaVersion(one);
    return version === undefined ? [] : [BigInt(version)];
  });
  return {
    version: [...others, ...(greatest === undefined ? [] : [greatest])].reduce<bigint | undefined>(
      (most, one) => (most === undefined || one > most ? one : most),
      undefined,
    ),
    watermark: undefined,
  };
}

/** Whether the row was changed or created after the sync read its table. A row in the version of the mirror was not. */
export function isChangedSince(row: Suspect, { version, watermark }: SyncPoint): boolean {
  if (row.kind === 'different' && row.mirrorVersion === row.version) return false;
  const current = /^\d{1,19}$/.test(row.version ?? '') ? BigInt(row.version!) : undefined;
  const isLater = current !== undefined && version !== undefined && current > version;
  if (watermark === undefined || row.modifiedOn === null) return isLater;
  // Times have whole seconds, and rows of the last one can be later.
  return row.modifiedOn > watermark || (row.modifiedOn === watermark && isLater);
}

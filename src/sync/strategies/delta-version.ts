import { deltaTokenVersion } from '../../dataverse/read/change-tracking.ts';
import type { TableState } from '../../target/state.ts';
import type { FetchedTable } from './fetched-table.ts';

/** The row version in the delta link that a read ended with, as text. The keys of a sweep may follow in later slices. */
export function deltaVersionOf({ slices }: FetchedTable): string | undefined {
  const deltaLink = slices.findLast((slice) => slice.deltaLink !== undefined)?.deltaLink;
  return deltaLink === undefined ? undefined : deltaTokenVersion(deltaLink)?.toString();
}

/** The one in the latest link of earlier runs. States of earlier versions have only the link. */
export function knownDeltaVersion(known: TableState | undefined): string | undefined {
  const { deltaVersion, deltaLink } = known ?? {};
  return deltaVersion ?? (deltaLink === undefined ? undefined : deltaTokenVersion(deltaLink)?.toString());
}

/** The greater one of two versions, which are numbers as texts because they can exceed 2^53. */
export function greaterVersion(a: string | undefined, b: string | undefined): string | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return BigInt(a) > BigInt(b) ? a : b;
}

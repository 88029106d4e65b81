import { dataverseFault, LinkError, UnexpectedResponseError } from '../../dataverse/errors/errors.ts';
import { isQueryRefused } from '../../dataverse/errors/refusal.ts';
import { ChangeTrackingError } from '../../dataverse/read/change-tracking.ts';
import { RetriableError } from '../../errors.ts';
import type { TableState } from '../../target/state.ts';
import type { TablePlan } from '../documents/plan.ts';
import type { SliceStart } from '../documents/slice.ts';
import {
  type FetchedTable,
  finalSlices,
  keysDigest,
  type MergeOutcome,
  wholeDigest,
} from './fetched-table.ts';
import { rememberedRefusal } from './refusal.ts';
import { afterPage } from './row-reader.ts';
import type { Strategy } from './strategy.ts';
import { hasUnversioned, isVerificationDue, sweepAgainAfter, withoutComparison } from './verification.ts';

type DeltaRead =
  /** Every row, which starts change tracking. */
  | { kind: 'delta-initial' }
  /** What changed since the stored delta link; then, to verify the table, the keys of all rows. */
  | {
      kind: 'delta';
      link: string;
      sweep?: boolean;
      /** Of a sweep: with the columns whose values change without a new version. */
      values?: boolean;
    };

/**
 * By change tracking: every row once, then the changes since the delta link that the last read ended with
 * (learn.microsoft.com: Use change tracking to synchronize data with external systems). What a delta missed shows in
 * sweeps, which compare the keys and versions of all rows.
 */
export const delta: Strategy<DeltaRead> = {
  reason: 'change tracking is on',
  wholeTable: true,

  refusal(context) {
    if (!context.table.changeTracking) return 'change tracking is off';
    return rememberedRefusal('delta', context);
  },

  plan(context) {
    const { table, state, rereadReason } = context;
    const link = state?.strategy === 'delta' && rereadReason === undefined ? state.deltaLink : undefined;
    if (link === undefined) return { kind: 'delta-initial' };
    if (!isVerificationDue(context)) return { kind: 'delta', link };
    return { kind: 'delta', link, sweep: true, values: hasUnversioned(table) || undefined };
  },

  async advance(position, reader) {
    const { read, link } = position;
    if (position.part === 'keys') {
      const values = read.kind === 'delta' && read.values === true;
      return afterPage(position, await reader.readKeysPage(link, { values }));
    }
    const page = await reader.readPage(
      read.kind === 'delta' ? { link: link ?? read.link } : { link, trackChanges: true },
    );
    if (page.nextLink === undefined && page.deltaLink === undefined) {
      return startOver(position, reader.plan, 'Dataverse gave no delta link at the end of the read');
    }
    const next = afterPage(position, page);
    return next ?? (isSweep(read) ? { ...position, link: undefined, part: 'keys' } : undefined);
  },

  afterError(position, error, { plan }, isStuck) {
    // The changes are read, and their link is good.
    if (position.part === 'keys') return isStuck ? withoutComparison(position, error) : undefined;
    if (error instanceof ChangeTrackingError) {
      return startOver(position, plan, error.message, error.reason === 'expired');
    }
    if (position.read.kind === 'delta') {
      return isUnusableLink(position, error) ? startOver(position, plan, error.message) : undefined;
    }
    // A provider may reject change tracking in its own words.
    if (position.link !== undefined || !isQueryRefused(error)) return undefined;
    const reason = `Dataverse does not accept change tracking: ${(error as Error).message}`;
    const next = startOver(position, plan, reason);
    return next && { ...next, isDoubtful: error instanceof RetriableError };
  },

  async finish(read, reader) {
    if (read.kind === 'delta') await reader.resolveTombstones();
  },

  isComplete: (read) => read.kind === 'delta-initial',

  comparedKeys: (read) => (isSweep(read) ? 'all' : undefined),

  comparesValues: (read) => read.kind === 'delta' && read.values === true,

  corrected: ({ outdatedIds, absent }) => outdatedIds.length + absent,

  broughtNothing(known, read, fetched) {
    // A first read brings a new delta link, and values that may have changed without a new version.
    if (read.kind === 'delta-initial') return false;
    if (read.values) return false;
    if (read.sweep && known.contentDigest !== keysDigest(fetched)) return false;
    return hasNoChanges(fetched);
  },

  async cursor({ known, read, fetched, outcome }) {
    const { isCurrent } = outcome;
    const isById = read === undefined;
    const comparesAll = read !== undefined && (read.kind === 'delta-initial' || isSweep(read));
    const sweepAgain =
      isById || comparesAll ? sweepAgainAfter(known, outcome, { isById, comparesAll }) : known?.sweepAgain;
    if (read === undefined) {
      const contentDigest = isCurrent ? await outcome.digestOf?.() : undefined;
      return { sweepAgain, deltaLink: known?.deltaLink, contentDigest };
    }
    if (read.kind === 'delta-initial') {
      // Another first read finds again what was held back.
      if (!isCurrent) return {};
      return { deltaLink: newLink(fetched), contentDigest: await wholeDigest(fetched, outcome, 'rows') };
    }
    // A link that advanced past deletes that were held back would lose them.
    if (outcome.isHeldBack || (!isCurrent && !isSweep(read))) {
      return { sweepAgain, deltaLink: known?.deltaLink };
    }
    return {
      sweepAgain,
      deltaLink: newLink(fetched),
      contentDigest: await digestAfter(known, read, fetched, outcome),
    };
  },
};

function isSweep(read: DeltaRead): boolean {
  return read.kind === 'delta' && read.sweep === true;
}

function hasNoChanges(fetched: FetchedTable): boolean {
  return fetched.slices.every((slice) => slice.rowsRead === 0 && slice.deleted === 0);
}

/** The link that the changes ended with. The keys of a sweep may follow in later slices. */
function newLink(fetched: FetchedTable): string | undefined {
  return finalSlices(fetched).findLast(({ deltaLink }) => deltaLink !== undefined)?.deltaLink;
}

/** Changes make the digest of the last comparison void. Another one would cost a look at every row in each run. */
async function digestAfter(
  known: TableState | undefined,
  read: DeltaRead,
  fetched: FetchedTable,
  outcome: MergeOutcome,
): Promise<string | undefined> {
  if (!outcome.isCurrent) return undefined;
  if (isSweep(read)) return wholeDigest(fetched, outcome, 'keys');
  return hasNoChanges(fetched) ? known?.contentDigest : undefined;
}

/** An unusable delta link leads to a new first read. A table that cannot be tracked leads to the fallback. */
function startOver(
  { read }: SliceStart,
  { fallback }: TablePlan,
  reason: string,
  linkIsUnusable = true,
): SliceStart | undefined {
  const next =
    linkIsUnusable && read.kind === 'delta'
      ? { strategy: 'delta' as const, read: { kind: 'delta-initial' } }
      : fallback;
  return next && { ...next, part: 'rows', reason };
}

/**
 * Whether the stored link is outdated. The link repeats the query that it began with, so Dataverse rejects it if columns
 * were deleted or the entity set was renamed. A gateway may answer with something that is not a list of changes. If the
 * address of the environment changed, the client rejects the link before any request.
 */
function isUnusableLink(position: SliceStart, error: unknown): error is Error {
  if (error instanceof LinkError) return position.link === undefined;
  // A list of changes that is none, even after retries, says nothing about the table itself.
  if (error instanceof UnexpectedResponseError) return true;
  // A missing table or entity set is found by the new read as well.
  const isRefused = isQueryRefused(error) || dataverseFault(error)?.status === 404;
  return isRefused && !(error instanceof RetriableError);
}

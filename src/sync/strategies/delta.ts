import { dataverseFault, LinkError, UnexpectedResponseError } from '../../dataverse/errors/errors.ts';
import { isQueryRefused } from '../../dataverse/errors/refusal.ts';
import { ChangeTrackingError } from '../../dataverse/read/change-tracking.ts';
import { RetriableError } from '../../errors.ts';
import type { TablePlan } from '../documents/plan.ts';
import type { SliceStart } from '../documents/slice.ts';
import { wholeDigest } from './fetched-table.ts';
import { rememberedRefusal } from './refusal.ts';
import { afterPage } from './row-reader.ts';
import type { Strategy } from './strategy.ts';

type DeltaRead =
  /** Every row, which starts change tracking. */
  | { kind: 'delta-initial' }
  /** What changed since the stored delta link. */
  | { kind: 'delta'; link: string };

/**
 * By change tracking: every row once, then the changes since the delta link that the last read ended with
 * (learn.microsoft.com: Use change tracking to synchronize data with external systems).
 */
export const delta: Strategy<DeltaRead> = {
  reason: 'change tracking is on',
  wholeTable: true,

  refusal(context) {
    if (!context.table.changeTracking) return 'change tracking is off';
    return rememberedRefusal('delta', context);
  },

  plan({ state, rereadReason }) {
    const link = state?.strategy === 'delta' && rereadReason === undefined ? state.deltaLink : undefined;
    return link === undefined ? { kind: 'delta-initial' } : { kind: 'delta', link };
  },

  async advance(position, reader) {
    const { read, link } = position;
    const page = await reader.readPage(
      read.kind === 'delta' ? { link: link ?? read.link } : { link, trackChanges: true },
    );
    if (page.nextLink === undefined && page.deltaLink === undefined) {
      return startOver(position, reader.plan, 'Dataverse gave no delta link at the end of the read');
    }
    return afterPage(position, page);
  },

  afterError(position, error, { plan }) {
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

  comparedKeys: () => undefined,

  broughtNothing(_known, read, fetched) {
    // A first read brings a new delta link, and values that may have changed without a new version.
    if (read.kind === 'delta-initial') return false;
    return fetched.slices.every((slice) => slice.rowsRead === 0 && slice.deleted === 0);
  },

  async cursor({ known, read, fetched, outcome }) {
    const { isCurrent } = outcome;
    // A link that advanced past deletes that were held back would lose them.
    if (!isCurrent) return read?.kind === 'delta' ? { deltaLink: known?.deltaLink } : {};
    if (read === undefined) return { deltaLink: known?.deltaLink, contentDigest: await outcome.digestOf?.() };
    const { deltaLink } = fetched.slices.at(-1)!;
    if (read.kind === 'delta') return { deltaLink };
    return { deltaLink, contentDigest: await wholeDigest(fetched, outcome, 'rows') };
  },
};

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

import { keysDigest } from './fetched-table.ts';
import { advanceThrough } from './row-reader.ts';
import type { Strategy } from './strategy.ts';
import { hasUnversioned, isVerificationDue } from './verification.ts';

/** The rows that the mirror holds: their keys and versions, or with `whole` all columns. */
interface StoredIdsRead {
  kind: 'stored-ids';
  /** Names the list of their ids; absent while there are none. */
  list?: string;
  whole: boolean;
  /** With the columns whose values change without a new version. */
  values?: boolean;
}

/**
 * For tables with `filtered: true`: compares the rows that the mirror holds with Dataverse. Rows that changed, and rows
 * that others have come to refer to, are read by id in the next round.
 */
export const filtered: Strategy<StoredIdsRead> = {
  reason: 'filtered: only rows that others refer to',
  wholeTable: false,

  refusal: () => undefined,

  plan: (context) => ({
    kind: 'stored-ids',
    list: context.state?.storedIds,
    whole: context.rereadReason !== undefined,
    values: (hasUnversioned(context.table) && isVerificationDue(context)) || undefined,
  }),

  async advance(position, reader) {
    const { list, whole, values } = position.read;
    const ids = list === undefined ? [] : await reader.readStoredIds(list);
    return advanceThrough(ids, position, (batch) =>
      whole ? reader.readRowsById(batch) : reader.readKeysById(batch, { values }),
    );
  },

  isComplete: () => false,

  comparedKeys: ({ list, whole }) => (whole || list === undefined ? undefined : { list }),

  comparesValues: ({ whole, values }) => whole || values === true,

  // Other versions are what it looks for in every run.
  corrected: ({ otherValues }) => otherValues,

  broughtNothing: (known, read, fetched) =>
    !read.whole && !read.values && known.contentDigest === keysDigest(fetched),

  async cursor({ known, read, fetched, outcome }) {
    const { storedIds } = known ?? {};
    if (!outcome.isCurrent) return { storedIds };
    // Nothing changed, so there is no need to go through all rows in the database.
    const isSame = read !== undefined && known?.contentDigest === keysDigest(fetched);
    if (isSame && known.rows === outcome.rows) return { storedIds, contentDigest: known.contentDigest };
    const digest = await outcome.digestOf?.();
    return { storedIds, contentDigest: digest ?? (read && keysDigest(fetched)) };
  },
};

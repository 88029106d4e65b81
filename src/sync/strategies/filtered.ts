import { keysDigest } from './fetched-table.ts';
import { advanceThrough } from './row-reader.ts';
import { advanceAndFollow } from './rows-by-id.ts';
import type { PlanContext, Strategy } from './strategy.ts';
import { hasUnversioned, isVerificationDue } from './verification.ts';

/** The rows that the mirror holds: their keys and versions, or with `whole` all columns. */
interface StoredIdsRead {
  kind: 'stored-ids';
  /** Names the list of their ids; absent while there are none. */
  list?: string;
  /** Names a list of ids that Dataverse did not have. It may have them now. */
  absent?: string;
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
    absent: absentIdsToAskFor(context),
    whole: context.rereadReason !== undefined,
    values: (hasUnversioned(context.table) && isVerificationDue(context)) || undefined,
  }),

  async advance(position, reader) {
    const { list, absent, whole, values } = position.read;
    const stored = list === undefined ? [] : await reader.readStoredIds(list);
    const ids = absent === undefined ? stored : [...stored, ...(await reader.readAbsentIds(absent))];
    if (whole) return advanceAndFollow(ids, undefined, position, reader);
    return advanceThrough(ids, position, (batch) => reader.readKeysById(batch, { values }));
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
    const absentIds = known?.absentIds && {
      ...known.absentIds,
      ...(read?.absent !== undefined && { askedAt: outcome.startedAt }),
    };
    if (!outcome.isCurrent) return { storedIds, absentIds };
    // Nothing changed, so there is no need to go through all rows in the database.
    const isSame = read !== undefined && known?.contentDigest === keysDigest(fetched);
    if (isSame && known.rows === outcome.rows)
      return { storedIds, absentIds, contentDigest: known.contentDigest };
    const digest = await outcome.digestOf?.();
    return { storedIds, absentIds, contentDigest: digest ?? (read && keysDigest(fetched)) };
  },
};

/**
 * The list of ids that Dataverse did not have, if it is time to ask for them again, or if all is read again: after a
 * restore, deleted rows are back.
 */
function absentIdsToAskFor(context: PlanContext): string | undefined {
  const { config, state, settings, now, rereadReason } = context;
  const { absentIds } = state ?? {};
  if (absentIds === undefined || rereadReason !== undefined) return absentIds?.list;
  const hours = config.verifyHours ?? settings.verifyHours;
  if (hours === 0) return undefined;
  return now.getTime() - Date.parse(absentIds.askedAt) >= hours * 3_600_000 ? absentIds.list : undefined;
}

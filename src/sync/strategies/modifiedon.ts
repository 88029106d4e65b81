import { isQueryRefused } from '../../dataverse/errors/refusal.ts';
import { RetriableError } from '../../errors.ts';
import type { TableState } from '../../target/state.ts';
import {
  type FetchedTable,
  isSameRead,
  keysDigest,
  rowsDigest,
  valuesDigest,
  watermarkAfter,
  wholeDigest,
} from './fetched-table.ts';
import { rememberedRefusal } from './refusal.ts';
import { afterPage } from './row-reader.ts';
import type { MergedRead, Strategy } from './strategy.ts';
import {
  hasUnversioned,
  isReconciliationDue,
  isVerificationDue,
  sweepAgainAfter,
  withoutComparison,
} from './verification.ts';

type ModifiedOnRead =
  /** Every row. */
  | { kind: 'all' }
  /** Rows modified at or after `since`; then, for a sweep, the keys of all rows. */
  | {
      kind: 'modifiedon';
      since: string;
      sweep: boolean;
      /** Of a sweep: with the columns whose values change without a new version. */
      values?: boolean;
    };

/**
 * By the column `modifiedon`: rows that changed since the newest one that was read, less an overlap. Deletes, and
 * changes dated back, show in sweeps, which compare the keys and versions of all rows.
 */
export const modifiedon: Strategy<ModifiedOnRead> = {
  reason: 'the table has a modifiedon column',
  wholeTable: true,

  refusal(context) {
    if (context.table.modifiedOnColumn === undefined) return 'the table has no modifiedon column';
    return rememberedRefusal('modifiedon', context);
  },

  plan(context) {
    const { table, state, rereadReason, settings } = context;
    const known = rereadReason === undefined ? state : undefined;
    if (known?.watermark === undefined || !isContinued(known)) return { kind: 'all' };
    const isDue = isVerificationDue(context);
    return {
      kind: 'modifiedon',
      since: windowStart(known.watermark, settings.overlapSeconds),
      // Change tracking named deleted rows until now. Those it no longer named show in a sweep only.
      sweep: known.strategy === 'delta' || isDue || isReconciliationDue(context),
      values: (isDue && hasUnversioned(table)) || undefined,
    };
  },

  async advance(position, reader) {
    const { read, link } = position;
    if (position.part === 'keys') {
      const values = read.kind === 'modifiedon' && read.values === true;
      return afterPage(position, await reader.readKeysPage(link, { values }));
    }
    const { modifiedOnColumn, primaryKey } = reader.table;
    const filter = read.kind === 'all' ? undefined : `${modifiedOnColumn} ge ${read.since}`;
    const page = await reader.readPage({ filter, orderBy: `${primaryKey} asc`, link });
    const next = afterPage(position, page);
    return next ?? (isSweep(read) ? { ...position, link: undefined, part: 'keys' } : undefined);
  },

  afterError(position, error, _reader, isStuck) {
    const { read, part, link } = position;
    if (part === 'keys') return isStuck ? withoutComparison(position, error) : undefined;
    if (read.kind === 'all' || link !== undefined || !isQueryRefused(error)) return undefined;
    const reason = `Dataverse does not accept the filter on modifiedon: ${(error as Error).message}`;
    const isDoubtful = error instanceof RetriableError;
    return { strategy: 'full', read: { kind: 'all' }, part: 'rows', reason, isDoubtful };
  },

  isComplete: (read) => read.kind === 'all',

  comparedKeys: (read) => (isSweep(read) ? 'all' : undefined),

  withComparison: (read) => (read.kind === 'modifiedon' ? { ...read, sweep: true } : read),

  comparesValues: (read) => read.kind === 'modifiedon' && read.values === true,

  // Deletes show in no other way.
  corrected: ({ outdatedIds }) => outdatedIds.length,

  broughtNothing(known, read, fetched) {
    if (read.kind === 'all') return isSameRead(known, fetched);
    const { from, digest, values } = known.window ?? {};
    if (from !== read.since || digest !== rowsDigest(fetched)) return false;
    if (values === undefined || values !== valuesDigest(fetched)) return false;
    if (read.values) return false;
    if (read.sweep && known.contentDigest !== keysDigest(fetched)) return false;
    return !isWorthMoving(known, fetched);
  },

  async cursor(merged) {
    const { known, read, outcome } = merged;
    const comparesAll = read !== undefined && (read.kind === 'all' || read.sweep);
    const sweepAgain = sweepAgainAfter(known, outcome, { isById: read === undefined, comparesAll });
    if (!outcome.isCurrent) return { sweepAgain };
    const watermark = holdsSameRows(merged) ? known!.watermark : merged.watermark;
    return {
      sweepAgain,
      watermark,
      contentDigest: await contentDigest(merged),
      valuesDigest: read?.kind === 'all' ? valuesDigest(merged.fetched) : undefined,
      window: watermark === undefined ? undefined : await windowAfter(merged, watermark),
    };
  },
};

/** Whether `strategy` left a watermark that no older row is missing behind. */
function isContinued({ strategy }: TableState): boolean {
  return strategy === 'delta' || strategy === 'modifiedon';
}

/** Rows that each idle run may read again, rather than having the database opened to move the window past them. */
const rereadRows = 1000;

/** Whether the window holds many rows and a later one would hold fewer. */
function isWorthMoving(known: TableState, fetched: FetchedTable): boolean {
  const rows = fetched.slices.reduce((sum, slice) => sum + slice.rowsRead, 0);
  // Rows that are dated in the future are in every window.
  const isFuture = fetched.slices.some(
    ({ maxModifiedOn, readAt }) =>
      maxModifiedOn !== undefined && readAt !== undefined && Date.parse(maxModifiedOn) > Date.parse(readAt),
  );
  return !isFuture && rows > rereadRows && watermarkAfter(known, fetched, known.syncedAt) !== known.watermark;
}

/** Whether the read showed the rows of the known window: moving it would only lose the digest of their values. */
function holdsSameRows({ known, read, fetched }: MergedRead<ModifiedOnRead>): boolean {
  if (known === undefined || read?.kind !== 'modifiedon' || known.window?.from !== read.since) return false;
  return known.window.digest === rowsDigest(fetched) && !isWorthMoving(known, fetched);
}

function isSweep(read: ModifiedOnRead): boolean {
  return read.kind === 'modifiedon' && read.sweep;
}

async function contentDigest(merged: MergedRead<ModifiedOnRead>): Promise<string | undefined> {
  const { known, read, fetched, outcome } = merged;
  if (read === undefined) return outcome.digestOf?.();
  if (read.kind === 'all') return wholeDigest(fetched, outcome, 'rows');
  return read.sweep ? wholeDigest(fetched, outcome, 'keys') : known?.contentDigest;
}

/** The digest of the rows that the next run will read if nothing changes until then. */
async function windowAfter(
  { known, read, fetched, outcome, settings }: MergedRead<ModifiedOnRead>,
  watermark: string,
): Promise<TableState['window']> {
  const from = windowStart(watermark, settings.overlapSeconds);
  if (read?.kind === 'modifiedon' && read.since === from) {
    return { from, digest: rowsDigest(fetched), values: valuesDigest(fetched) };
  }
  const digest = await outcome.digestOf?.(from);
  if (digest !== undefined) return { from, digest };
  return known?.window?.from === from ? known.window : undefined;
}

/**
 * Where the next `modifiedon ge` read starts: the watermark less an overlap, in whole seconds. Dataverse keeps
 * modifiedon by the second, and rows of one second may become visible after a later row was read.
 */
function windowStart(watermark: string, overlapSeconds: number): string {
  const time = Math.floor(Date.parse(watermark) / 1000) * 1000 - overlapSeconds * 1000;
  return new Date(time).toISOString().replace('.000Z', 'Z');
}

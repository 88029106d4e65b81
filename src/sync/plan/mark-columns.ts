import { dataverseFault } from '../../dataverse/errors/errors.ts';
import type { Attribute } from '../../dataverse/metadata/attributes.ts';
import { unversionedProperties } from '../../dataverse/metadata/unversioned.ts';
import { describeError, RetriableError } from '../../errors.ts';
import type { Column, Table } from '../../schema/table.ts';
import { forEachConcurrently } from '../../storage/for-each-concurrently.ts';
import type { State } from '../../target/state.ts';
import type { SyncServices } from '../documents/services.ts';

/** Requests at the same time. */
const concurrency = 4;

/** How long all of them may take, in seconds. What is missing then comes with a later run. */
export function secondsFor(tables: number): number {
  return Math.min(60 + tables, 240);
}

/** How many tables must be refused before the others are not asked for: a single one may be special. */
const tablesToTry = 2;

/** Contents of images are too large to be read for a comparison. */
const neverCompared = new Set(['Edm.Binary', 'Edm.Stream']);

export interface MarkedTables {
  tables: Table[];
  /** Whether the next run must ask again, because an error may pass. */
  tryAgain: boolean;
  /** Whether the time did not suffice for all tables. Another try at once would not either. */
  isCutShort: boolean;
  /** By logical name, of the tables whose attributes could be read. */
  attributes: ReadonlyMap<string, readonly Attribute[]>;
}

/**
 * Marks the columns with what only the definitions of their tables tell: whether their values change without a new
 * version of their row, and whether a column was deleted and created again under its name.
 * Definitions do not fail a run: where they cannot be read, the marks from before stay.
 * @param options `areRefused`: the user may not read definitions of tables, nor their attributes; `language`: that of their
 * names; `seconds`: the time for all
 */
export async function markColumns(
  services: SyncServices,
  tables: readonly Table[],
  state: State,
  options: { areRefused: boolean; language?: number | undefined; seconds?: number },
): Promise<MarkedTables> {
  const { dataverse, telemetry } = services;
  const { areRefused, language, seconds = secondsFor(tables.length) } = options;
  const signal = AbortSignal.timeout(seconds * 1000);
  const found = new Map<string, Attribute[]>();
  const errors: unknown[] = [];
  // Tables that were never answered come first: if the time does not suffice for all, each gets its turn.
  const isKnown = ({ logicalName }: Table): boolean =>
    knownMarks(state.entities[logicalName]?.table).size > 0;
  const inOrder = tables.toSorted((a, b) => Number(isKnown(a)) - Number(isKnown(b)));
  await forEachConcurrently(areRefused ? [] : inOrder, concurrency, async ({ logicalName }) => {
    if (signal.aborted || (found.size === 0 && errors.length >= tablesToTry)) return;
    try {
      found.set(logicalName, await dataverse.readAttributes(logicalName, { signal, language }));
    } catch (error) {
      if (!signal.aborted) errors.push(error);
    }
  });
  const unknown = tables.filter(({ logicalName }) => !found.has(logicalName));
  if (unknown.length > 0 && !areRefused) {
    const names = unknown.map(({ logicalName }) => logicalName).join(', ');
    const text = `Dataverse does not say which columns are calculated or secured in ${names}. Their values are compared only when all rows are read.`;
    if (errors.length === 0) {
      const next = `The definitions did not come within ${seconds} s. What was known of them stays, and the next read of the metadata asks for these tables first.`;
      telemetry.log('warn', `${text} ${next}`);
    } else {
      const { message: reason, hint } = describeError(errors[0]);
      const grant =
        dataverseFault(errors[0])?.status === 403 ? ' Grant prvReadAttribute to the application user.' : '';
      telemetry.log('warn', `${text}${grant}`, { reason, hint });
    }
  }
  return {
    attributes: found,
    tables: tables.map((table) => {
      const attributes = found.get(table.logicalName);
      const marks =
        attributes === undefined ? knownMarks(state.entities[table.logicalName]?.table) : marksOf(attributes);
      return { ...table, columns: table.columns.map((column) => marked(column, table, marks)) };
    }),
    tryAgain: errors.some(
      (error) => error instanceof RetriableError || dataverseFault(error)?.transient === true,
    ),
    isCutShort: signal.aborted && unknown.length > 0,
  };
}

type Mark = Pick<Column, 'unversioned' | 'incarnation'>;

function marked(column: Column, { primaryKey }: Table, marks: ReadonlyMap<string, Mark>): Column {
  const { property, name, edmType } = column;
  const mark = property === undefined ? undefined : marks.get(property);
  if (mark === undefined) return column;
  const { unversioned, incarnation } = mark;
  const isCompared = unversioned === true && name !== primaryKey && !neverCompared.has(edmType);
  return {
    ...column,
    ...(isCompared && { unversioned }),
    ...(incarnation !== undefined && { incarnation }),
  };
}

/** The marks of the mirror's columns, by property. */
function knownMarks(table: Table | undefined): Map<string, Mark> {
  const marks = new Map<string, Mark>();
  for (const { property, unversioned, incarnation } of table?.columns ?? []) {
    if (property !== undefined && (unversioned === true || incarnation !== undefined)) {
      marks.set(property, { unversioned, incarnation });
    }
  }
  return marks;
}

/** The marks by property. */
function marksOf(attributes: readonly Attribute[]): Map<string, Mark> {
  const marks = new Map<string, Mark>();
  for (const { logicalName: name, metadataId } of attributes) {
    // Eight digits tell two columns apart, and keep the state small.
    const incarnation = metadataId?.replaceAll('-', '').slice(0, 8).toLowerCase();
    for (const property of [name, `_${name}_value`])
      marks.set(property, { ...marks.get(property), incarnation });
  }
  for (const property of unversionedProperties(attributes).keys()) {
    marks.set(property, { ...marks.get(property), unversioned: true });
  }
  return marks;
}

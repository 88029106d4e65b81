import { dataverseFault } from '../../dataverse/errors/errors.ts';
import type { UnversionedAttribute } from '../../dataverse/metadata/unversioned-attributes.ts';
import { describeError, RetriableError } from '../../errors.ts';
import type { Column, Table } from '../../schema/table.ts';
import { forEachConcurrently } from '../../storage/for-each-concurrently.ts';
import type { State } from '../../target/state.ts';
import type { SyncServices } from '../documents/services.ts';

/** Requests at the same time, and how long all of them may take. What is missing then comes with the next run. */
const concurrency = 4;
const limitSeconds = 60;

/** How many tables must be refused before the others are not asked for: a single one may be special. */
const tablesToTry = 2;

/** Contents of images are too large to be read for a comparison. */
const neverCompared = new Set(['Edm.Binary', 'Edm.Stream']);

export interface MarkedTables {
  tables: Table[];
  /** Whether the next run must ask again, because an error may pass. */
  tryAgain: boolean;
}

/**
 * Marks the columns whose values change without a new version of their row, as the definitions of the tables tell.
 * Definitions do not fail a run: where they cannot be read, the marks from before stay.
 * @param options `areRefused`: the user may not read definitions of tables, nor their attributes
 */
export async function markUnversioned(
  services: SyncServices,
  tables: readonly Table[],
  state: State,
  options: { areRefused: boolean },
): Promise<MarkedTables> {
  const { dataverse, telemetry } = services;
  const signal = AbortSignal.timeout(limitSeconds * 1000);
  const found = new Map<string, UnversionedAttribute[]>();
  const errors: unknown[] = [];
  await forEachConcurrently(options.areRefused ? [] : tables, concurrency, async ({ logicalName }) => {
    if (found.size === 0 && errors.length >= tablesToTry) return;
    try {
      found.set(logicalName, await dataverse.readUnversionedAttributes(logicalName, { signal }));
    } catch (error) {
      errors.push(error);
    }
  });
  const unknown = tables.filter(({ logicalName }) => !found.has(logicalName));
  if (unknown.length > 0 && !options.areRefused) {
    const { message: reason, hint } = describeError(errors[0]);
    const names = unknown.map(({ logicalName }) => logicalName).join(', ');
    const text = `Dataverse does not say which columns are calculated or secured in ${names}. Their values are compared only when all rows are read. Grant prvReadAttribute to the application user.`;
    telemetry.log('warn', text, { reason, hint });
  }
  return {
    tables: tables.map((table) => {
      const attributes = found.get(table.logicalName);
      const properties =
        attributes === undefined
          ? knownMarks(state.entities[table.logicalName]?.table)
          : propertiesOf(attributes);
      return { ...table, columns: table.columns.map((column) => marked(column, table, properties)) };
    }),
    tryAgain: errors.some(
      (error) =>
        error instanceof RetriableError || dataverseFault(error)?.transient === true || signal.aborted,
    ),
  };
}

function marked(column: Column, { primaryKey }: Table, properties: ReadonlySet<string | undefined>): Column {
  const { property, name, edmType } = column;
  if (property === undefined || name === primaryKey || neverCompared.has(edmType)) return column;
  return properties.has(property) ? { ...column, unversioned: true } : column;
}

function knownMarks(table: Table | undefined): Set<string | undefined> {
  const marks = table?.columns.filter(({ unversioned }) => unversioned === true) ?? [];
  return new Set(marks.map(({ property }) => property));
}

/**
 * The properties of attributes, with those that Dataverse keeps beside them: the base currency value of an amount, and
 * when and how a rollup column was computed.
 */
function propertiesOf(attributes: readonly UnversionedAttribute[]): Set<string> {
  return new Set(
    attributes.flatMap(({ logicalName: name, kind }) => [
      ...[name, `_${name}_value`, `${name}_base`],
      ...(kind === 'rollup' ? [`${name}_date`, `${name}_state`] : []),
    ]),
  );
}

import { createHash } from 'node:crypto';
import { dataverseFault } from '../../dataverse/errors/errors.ts';
import type { ChoiceMetadata } from '../../dataverse/metadata/choice-metadata.ts';
import type { Choice } from '../../dataverse/metadata/choices.ts';
import { describeError, RetriableError } from '../../errors.ts';
import { columnTypes } from '../../schema/column-types.ts';
import type { Table } from '../../schema/table.ts';
import type { Labels } from '../../target/mirror-target.ts';
import { paths } from '../documents/paths.ts';
import type { SyncServices } from '../documents/services.ts';
import { labelsOf, namedGlobalChoices } from './choice-labels.ts';
import type { NamesIn } from './table-names.ts';

export interface LoadedChoices {
  /** Names `choices/{digest}.json`; undefined if there are no labels, now or from before. */
  digest: string | undefined;
  /** Whether the next run must read the labels again, because an error may pass. */
  tryAgain: boolean;
  /** Whether choice columns have no labels, so that they should be read again some time. */
  areIncomplete: boolean;
}

/** The labels that could be read without the tables' columns. */
export interface FirstLabels extends Labels {
  /** The error that ended the read. */
  error?: unknown;
  tryAgain: boolean;
  /** Ends the time that the whole read of labels may take. */
  limit: AbortSignal;
}

/** How long a run reads labels. After that it leaves them to the next run. */
const limitSeconds = 60;

export const labelsLimit = (): AbortSignal => AbortSignal.timeout(limitSeconds * 1000);

/**
 * Reads the labels in the string map, at the same time as the metadata document. Never rejects.
 * @param options `language`: from `readLanguage`; `limit`: ends the time for both
 */
export async function readFirstLabels(
  services: SyncServices,
  logicalNames: readonly string[],
  options: { language: Promise<number | undefined>; limit: AbortSignal },
): Promise<FirstLabels> {
  const { limit } = options;
  const [language, map] = await Promise.allSettled([
    options.language,
    readStringMap(services, logicalNames, limit),
  ]);
  return {
    language: language.status === 'fulfilled' ? language.value : undefined,
    ...(map.status === 'fulfilled' ? { choices: map.value } : { choices: [], error: map.reason }),
    tryAgain: language.status === 'rejected' || map.status === 'rejected',
    limit,
  };
}

/** Whether another try may succeed. */
function mayPass(error: unknown, limit: AbortSignal): boolean {
  return error instanceof RetriableError || dataverseFault(error)?.transient === true || limit.aborted;
}

/**
 * Reads the labels of the tables' choice columns and stores them: from the string map in one read, and for tables that
 * it leaves out, from the tables' own definitions. A changed label is a change of the metadata, so the labels are read
 * when the metadata document is.
 *
 * Labels do not fail a run: an error is logged, and the labels from before stay.
 * @param before the digest of the labels in the mirror
 * @param read `first`: what `readFirstLabels` read; `names`: the display names that were read with the tables
 */
export async function loadChoices(
  services: SyncServices,
  tables: readonly Table[],
  before: string | undefined,
  { first, names }: { first: FirstLabels; names: NamesIn },
): Promise<LoadedChoices> {
  const { language, choices, limit, tryAgain } = first;
  const keep = (error: unknown): LoadedChoices => {
    services.telemetry.log('warn', 'Labels could not be read. Those from before stay.', {
      reason: describeError(error).message,
    });
    return { digest: before, tryAgain: mayPass(error, limit), areIncomplete: false };
  };
  try {
    if (first.error !== undefined) return keep(first.error);
    const entities = tables.filter(({ intersect }) => !intersect);
    const columns = choices.length === 0 ? new Map() : await readColumns(services, entities, limit);
    const more = await readDefinitions(services, tablesWithoutLabels(entities, choices, columns), limit);
    const shared = await readGlobalChoices(services, more, limit);
    const all = sorted([...choices, ...labelsOf(more, shared)]);
    if (all.length === 0 && more.refused.length > 0) return keep(more.refused[0]!.error);
    const unlabelled = unlabelledColumns(entities, more, all);
    const labels: Labels = {
      ...{ language, choices: all, names: names(language) },
      ...(unlabelled.length > 0 && { unlabelled }),
    };
    const digest = createHash('sha256').update(JSON.stringify(labels)).digest('hex').slice(0, 32);
    // Also over labels of that name that are damaged: the name decides the content.
    await services.work.put(paths.choices(digest), labels);
    services.documents.remember(paths.choices(digest), labels);
    const areIncomplete = unlabelled.length > 0;
    return { digest, tryAgain, areIncomplete };
  } catch (error) {
    return keep(error);
  }
}

/** Without a base language, labels are shown in English, or else in the language with the lowest code. */
export async function readLanguage(services: SyncServices, limit: AbortSignal): Promise<number | undefined> {
  try {
    return await services.dataverse.readBaseLanguage({ signal: limit });
  } catch (error) {
    if (mayPass(error, limit)) throw error;
    services.telemetry.log('info', 'The base language could not be read.', {
      reason: describeError(error).message,
    });
    return undefined;
  }
}

async function readStringMap(
  services: SyncServices,
  tables: readonly string[],
  limit: AbortSignal,
): Promise<Choice[]> {
  try {
    return await services.dataverse.readChoices({ tables, signal: limit });
  } catch (error) {
    if (mayPass(error, limit)) throw error;
    services.telemetry.log('info', 'The string map could not be read. Labels are read table by table.', {
      reason: describeError(error).message,
    });
    return [];
  }
}

/** The choices among the columns that `$metadata` shows as numbers and texts; none if the service refuses them. */
async function readColumns(
  services: SyncServices,
  tables: readonly Table[],
  limit: AbortSignal,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const names = tables.map(({ logicalName }) => logicalName);
  return services.dataverse.readChoiceColumns(names, { signal: limit });
}

async function readGlobalChoices(
  services: SyncServices,
  definitions: ChoiceMetadata,
  limit: AbortSignal,
): Promise<ReadonlyMap<string, object>> {
  return services.dataverse.readGlobalChoices(namedGlobalChoices(definitions), { signal: limit });
}

/** Tables of which the string map lacks labels: all if it is empty, else those with an unlabelled column. */
function tablesWithoutLabels(
  tables: readonly Table[],
  choices: readonly Choice[],
  choiceColumns: ReadonlyMap<string, readonly string[]>,
): Table[] {
  if (choices.length === 0) return [...tables];
  const labelled = labelledColumns(choices);
  // Columns of these kinds have labels in every table.
  return tables.filter(({ logicalName, columns }) =>
    columns.some(
      ({ name, property, reading }) =>
        property !== undefined &&
        (columnTypes[reading].labels ||
          name === 'statecode' ||
          name === 'statuscode' ||
          choiceColumns.get(logicalName)?.includes(property)) &&
        !labelled.has(`${logicalName}.${property}`),
    ),
  );
}

function labelledColumns(choices: readonly Choice[]): Set<string> {
  return new Set(choices.map(({ table, column }) => `${table}.${column}`));
}

/** Mirrored choice columns whose labels are nowhere. */
function unlabelledColumns(
  tables: readonly Table[],
  { columns }: ChoiceMetadata,
  choices: readonly Choice[],
): { table: string; column: string }[] {
  const labelled = labelledColumns(choices);
  const mirrored = new Set(
    tables.flatMap((table) => table.columns.map(({ property }) => `${table.logicalName}.${property}`)),
  );
  return columns
    .flatMap(({ table, definitions }) =>
      definitions.map(({ LogicalName: name }) => ({ table, column: String(name) })),
    )
    .filter(({ table, column }) => mirrored.has(`${table}.${column}`) && !labelled.has(`${table}.${column}`))
    .sort((a, b) => (`${a.table}.${a.column}` < `${b.table}.${b.column}` ? -1 : 1));
}

async function readDefinitions(
  services: SyncServices,
  tables: readonly Table[],
  limit: AbortSignal,
): Promise<ChoiceMetadata> {
  if (tables.length === 0) return { columns: [], refused: [] };
  const names = tables.map(({ logicalName }) => logicalName);
  const found = await services.dataverse.readChoiceMetadata(names, { signal: limit });
  for (const { table, error } of found.refused) {
    services.telemetry.log('info', `Dataverse refused the labels of ${table}.`, {
      entity: table,
      reason: describeError(error).message,
    });
  }
  return found;
}

/** Each label once, in an order that does not depend on the source. The string map comes first and wins. */
function sorted(choices: readonly Choice[]): Choice[] {
  const unique = new Map<string, Choice>();
  for (const choice of choices) {
    const key = `${choice.table}\0${choice.column}\0${choice.value}\0${choice.language}`;
    if (!unique.has(key)) unique.set(key, choice);
  }
  return [...unique]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { table, column, value, label, language }]) => ({ table, column, value, label, language }));
}

import { createHash } from 'node:crypto';
import type { ChoiceMetadata } from '../../dataverse/metadata/choice-metadata.ts';
import type { Choice } from '../../dataverse/metadata/choices.ts';
import { describeError, RetriableError } from '../../errors.ts';
import { columnTypes } from '../../schema/column-types.ts';
import type { Table } from '../../schema/table.ts';
import type { Labels } from '../../target/mirror-target.ts';
import { paths } from '../documents/paths.ts';
import type { SyncServices } from '../documents/services.ts';
import { labelsOf } from './choice-labels.ts';

export interface LoadedChoices {
  /** Names the document; undefined where there are no labels to show, now or from before. */
  digest: string | undefined;
  /** Whether the labels are as Dataverse has them; where not, the next run asks again. */
  settled: boolean;
}

/** What could be read without knowing the tables' columns. */
export interface FirstLabels {
  language?: number;
  choices: Choice[];
  /** The fault that broke the reading off; those that it need not stop at are logged. */
  error?: unknown;
  /** Whether everything was answered, if only by a refusal. */
  settled: boolean;
  /** Ends the time that all reading of labels may take. */
  limit: AbortSignal;
}

/** A run waits no longer for its labels: they can come with the next one. */
const limitSeconds = 60;

/** Begins the reading of labels by the string map, to go on beside that of the metadata document. Never rejects. */
export async function readFirstLabels(
  services: SyncServices,
  logicalNames: readonly string[],
  limit = AbortSignal.timeout(limitSeconds * 1000),
): Promise<FirstLabels> {
  const [base, map] = await Promise.allSettled([
    baseLanguage(services, limit),
    fromStringMap(services, logicalNames, limit),
  ]);
  const language = base.status === 'fulfilled' ? base.value : undefined;
  return {
    ...(language === undefined ? {} : { language }),
    ...(map.status === 'fulfilled' ? { choices: map.value } : { choices: [], error: map.reason }),
    settled: base.status === 'fulfilled' && map.status === 'fulfilled',
    limit,
  };
}

/** Whether asking again may help. */
function mayPass(error: unknown, limit: AbortSignal): boolean {
  return error instanceof RetriableError || limit.aborted;
}

/**
 * Reads the labels of the tables' choice columns and stores them. From the string map in one read; for tables that it
 * leaves out, from the tables' own definitions. Called where the metadata changed, since a new label is a change of the
 * metadata; where Dataverse gives no metadata version, in each run, like the metadata document.
 *
 * Labels are never a reason for a run to fail: whatever goes wrong is logged, and `before` stays.
 * @param before the digest of the labels in the database
 * @param first what `readFirstLabels` read
 */
export async function loadChoices(
  services: SyncServices,
  tables: readonly Table[],
  before: string | undefined,
  first: FirstLabels,
): Promise<LoadedChoices> {
  const keep = (error: unknown): LoadedChoices => {
    const settled = !mayPass(error, first.limit);
    services.telemetry.log('warn', 'Labels could not be read; those from before stay.', {
      reason: describeError(error).message,
    });
    return { digest: before, settled };
  };
  try {
    const candidates = tables.filter(({ intersect }) => !intersect);
    if (first.error !== undefined) return keep(first.error);
    const { language, choices, limit, settled } = first;
    const missing = tablesWithoutLabels(candidates, choices);
    const more = await fromMetadata(services, missing, limit);
    const all = sorted([...choices, ...labelsOf(more)]);
    if (all.length === 0 && more.refused.length > 0) return keep(more.refused[0]!.error);
    const stored: Labels = { ...(language === undefined ? {} : { language }), choices: all };
    const digest = createHash('sha256').update(JSON.stringify(stored)).digest('hex').slice(0, 32);
    await services.work.createIfAbsent(paths.choices(digest), stored);
    return { digest, settled };
  } catch (error) {
    return keep(error);
  }
}

async function baseLanguage(services: SyncServices, limit: AbortSignal): Promise<number | undefined> {
  try {
    return await services.dataverse.readBaseLanguage({ signal: limit });
  } catch (error) {
    // Labels are then shown in English, or else in the language with the lowest code.
    if (mayPass(error, limit)) throw error;
    services.telemetry.log('info', 'The base language could not be read.', {
      reason: describeError(error).message,
    });
    return undefined;
  }
}

async function fromStringMap(
  services: SyncServices,
  tables: readonly string[],
  limit: AbortSignal,
): Promise<Choice[]> {
  try {
    return await services.dataverse.readChoices({ tables, signal: limit });
  } catch (error) {
    if (mayPass(error, limit)) throw error;
    services.telemetry.log('info', 'The string map could not be read; labels are read table by table.', {
      reason: describeError(error).message,
    });
    return [];
  }
}

/**
 * Tables that the string map cannot have told in full: it has nothing for a column that has labels wherever it stands,
 * or for the whole table where it is silent altogether.
 */
function tablesWithoutLabels(tables: readonly Table[], choices: readonly Choice[]): Table[] {
  if (choices.length === 0) return [...tables];
  const labelled = new Set(choices.map(({ table, column }) => `${table}.${column}`));
  return tables.filter(({ logicalName, columns }) =>
    columns.some(
      ({ name, property, reading }) =>
        property !== undefined &&
        (columnTypes[reading].labels || name === 'statecode' || name === 'statuscode') &&
        !labelled.has(`${logicalName}.${property}`),
    ),
  );
}

async function fromMetadata(
  services: SyncServices,
  tables: readonly Table[],
  limit: AbortSignal,
): Promise<ChoiceMetadata> {
  if (tables.length === 0) return { columns: [], refused: [] };
  const found = await services.dataverse.readChoiceMetadata(
    tables.map(({ logicalName }) => logicalName),
    { signal: limit },
  );
  for (const { table, error } of found.refused) {
    services.telemetry.log('info', `Dataverse does not tell the labels of ${table}.`, {
      entity: table,
      reason: describeError(error).message,
    });
  }
  return found;
}

/** In one order whatever the source, each label once; the string map comes first and wins. */
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

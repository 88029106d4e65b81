import type { TableConfig } from '../../config/entities.ts';
import type { EntityDefinition } from '../../dataverse/metadata/entity-definitions.ts';
import { describeError } from '../../errors.ts';
import { entitySetOf } from '../../schema/table.ts';
import type { State } from '../../target/state.ts';
import type { SyncServices } from '../documents/services.ts';

/** What a row can be asked of: the entity set, and its key. */
interface ReadableTable {
  name: string;
  primaryKey: string;
}

/** How many tables are asked for the version, and how long each: a table may have vanished, be refused or throttled. */
const maxTables = 3;
const secondsPerTable = 30;

/** The configured tables that the mirror holds; first those that were read last, because they respond. */
export function knownTables(configs: readonly TableConfig[], state: State): ReadableTable[] {
  const known = configs.flatMap(({ name }) => state.entities[name] ?? []);
  return known
    .toSorted((a, b) => (a.syncedAt < b.syncedAt ? 1 : a.syncedAt > b.syncedAt ? -1 : 0))
    .map(({ table }) => ({ name: entitySetOf(table), primaryKey: table.primaryKey }));
}

/** The configured tables that Dataverse has, before the first run. */
export function definedTables(
  definitions: readonly EntityDefinition[],
  configs: readonly TableConfig[],
): ReadableTable[] {
  const names = new Set(configs.map(({ name }) => name));
  return definitions.flatMap(({ logicalName, entitySetName, primaryIdAttribute }) =>
    names.has(logicalName) && entitySetName !== undefined && primaryIdAttribute !== undefined
      ? [{ name: entitySetName, primaryKey: primaryIdAttribute }]
      : [],
  );
}

/**
 * Reads the version of the metadata with a row of the first table that responds. Any table will do.
 * @returns undefined if none responds, or Dataverse gives no version
 */
export async function readMetadataVersion(
  services: SyncServices,
  tables: readonly ReadableTable[],
): Promise<string | undefined> {
  const reasons: string[] = [];
  for (const { name, primaryKey } of tables.slice(0, maxTables)) {
    try {
      const signal = AbortSignal.timeout(secondsPerTable * 1000);
      return await services.dataverse.readMetadataVersion(name, primaryKey, { signal });
    } catch (error) {
      reasons.push(describeError(error).message);
    }
  }
  if (reasons.length > 0) {
    const text = 'The metadata version could not be read. The metadata document is read instead.';
    services.telemetry.log('info', text, { reason: reasons.join(' ') });
  }
  return undefined;
}

import type { EntityConfig } from '../config/entities.ts';
import type { LoadedCatalog } from './catalog.ts';
import { migrationOf, rereadReason, tablesOf } from './schema-changes.ts';
import type { SyncServices } from './services.ts';
import type { State } from './state.ts';

/**
 * Compares the schema of Dataverse with that of the database before any row moves.
 * @returns per entity why everything must be read again, for those that need it
 */
export function findRereads(
  services: SyncServices,
  catalog: LoadedCatalog,
  state: State,
  configs: readonly EntityConfig[],
): Map<string, string> {
  const rereads = new Map<string, string>();
  const before = tablesOf(state);
  const synced = Object.values(catalog.tables);
  for (const { name } of configs) {
    const table = catalog.tables[name];
    const known = state.entities[name];
    if (table === undefined || known === undefined) continue;
    const reason = rereadReason(migrationOf(known, table, synced, before));
    if (reason === undefined) continue;
    rereads.set(name, reason);
    services.telemetry.log('info', `${name} is read again in full: ${reason}`, { entity: name });
  }
  return rereads;
}

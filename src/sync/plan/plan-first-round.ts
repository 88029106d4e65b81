import { loadState } from '../documents/load-state.ts';
import { paths } from '../documents/paths.ts';
import type { RoundPlan } from '../documents/plan.ts';
import { completeRound } from '../documents/request-merge.ts';
import type { SyncServices } from '../documents/services.ts';
import { loadCatalog } from './catalog.ts';
import { planTable } from './plan-table.ts';
import { validateSchema } from './validate-schema.ts';

/**
 * Plans round 1: reads the configuration and the metadata, compares the schema with the database's, stores the
 * report, and asks for the first slice of every entity. Idempotent: a plan that exists is kept.
 *
 * @throws ConfigurationError for a wrong entities.json or wrong settings
 * @throws RetriableError where Dataverse or the storage cannot be reached
 */
export async function planFirstRound(services: SyncServices, runId: string): Promise<void> {
  const configs = services.readEntities();
  const { state } = await loadState(services);
  const catalog = await loadCatalog(services, configs, state);
  const rereads = await validateSchema(services, catalog, state, configs, runId);
  const now = services.now();
  const entities: RoundPlan['entities'] = {};
  for (const config of configs) {
    const table = catalog.tables[config.name];
    // A table that vanished from Dataverse keeps its rows; the schema report says so.
    if (table === undefined) continue;
    entities[config.name] = planTable({
      config,
      table,
      state: state.entities[config.name],
      rereadReason: rereads.get(config.name),
      settings: services.settings.sync,
      now,
    });
  }
  const plan: RoundPlan = {
    runId,
    round: 1,
    createdAt: now.toISOString(),
    catalog: catalog.digest,
    metadataVersion: catalog.metadataVersion,
    configDigest: catalog.configDigest,
    entities,
  };
  await sendRound(services, plan);
}

/** Stores a plan, unless one is there already, and asks for the first slice of each of its entities. */
export async function sendRound(services: SyncServices, plan: RoundPlan): Promise<void> {
  const { runId, round } = plan;
  const won = await services.work.createIfAbsent(paths.plan(runId, round), plan);
  const stored = won ? plan : ((await services.documents.plan(runId, round)) ?? plan);
  const entities = Object.keys(stored.entities);
  // Every configured table may have vanished: the run has nothing to wait for.
  if (entities.length === 0) return completeRound(services, runId, round, { resend: true });
  await Promise.all(entities.map((entity) => services.sendFetch({ runId, round, entity, slice: 0 })));
}

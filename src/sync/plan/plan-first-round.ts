import type { TableConfig } from '../../config/entities.ts';
import { type LoadedState, type State, stateIn } from '../../target/state.ts';
import type { RoundPlan } from '../documents/plan.ts';
import { asksToReread, type RunDocument } from '../documents/run.ts';
import type { SyncServices } from '../documents/services.ts';
import { joinReasons, onRequest, otherOrganization } from '../strategies/reread-reasons.ts';
import { type FirstSlices, readFirstSlices, storeKept } from './first-slices.ts';
import { type LoadedCatalog, loadCatalog, loadKnownCatalog } from './load-catalog.ts';
import { coveredTables, narrowPlan } from './narrow-plan.ts';
import { planTable } from './plan-table.ts';
import { startRound } from './start-round.ts';
import { validateSchema } from './validate-schema.ts';

/** What people asked of the run, as far as its plan depends on it. */
export type PlanRequests = Pick<RunDocument, 'reread' | 'allowMassDelete' | 'tables'>;

/** The plan of round 1, and what it was made from. It is not stored yet. */
export interface PlannedRound {
  plan: RoundPlan;
  catalog: LoadedCatalog;
  loaded: LoadedState;
  first: FirstSlices;
}

/**
 * Plans round 1: reads the configuration and the metadata, compares the schema with that of the mirror, stores the
 * report, and reads the first page of every table that continues where its last read ended.
 *
 * @param requests what the run was asked for, as far as that is known yet
 * @param options `readsFirst`: false leaves all tables to the queue
 * @throws ConfigurationError for a wrong entities.json or wrong settings
 * @throws RetriableError if Dataverse or the storage cannot be reached
 */
export async function planFirstRound(
  services: SyncServices,
  runId: string,
  requests: PlanRequests = {},
  options: { readsFirst?: boolean } = {},
): Promise<PlannedRound> {
  const configs = services.readEntities();
  const loaded = await services.mirror.loadState();
  const catalog = await loadCatalog(services, configs, loaded.state);
  return planTables(services, runId, configs, loaded, catalog, requests, options);
}

/** The same without a request, for a run whose metadata is as it was; undefined if it must be read. */
export async function planKnownRound(
  services: SyncServices,
  runId: string,
  requests: Pick<PlanRequests, 'tables'>,
): Promise<PlannedRound | undefined> {
  const configs = services.readEntities();
  const loaded = await services.mirror.loadState();
  const catalog = await loadKnownCatalog(services, configs, loaded.state);
  return catalog && planTables(services, runId, configs, loaded, catalog, requests);
}

async function planTables(
  services: SyncServices,
  runId: string,
  configs: readonly TableConfig[],
  loaded: LoadedState,
  catalog: LoadedCatalog,
  { reread, allowMassDelete = [], tables }: PlanRequests,
  { readsFirst = true }: { readsFirst?: boolean } = {},
): Promise<PlannedRound> {
  const { state } = loaded;
  const { rereads, schemaReport } = await validateSchema(services, catalog, state, configs, runId);
  const now = services.now();
  const organizationReason = otherOrganizationReason(services, state, catalog, runId);
  const covered = tables && coveredTables(tables, configs, catalog, state);
  const entities: RoundPlan['entities'] = {};
  for (const config of configs) {
    if (covered?.has(config.name) === false) continue;
    const table = catalog.tables[config.name];
    // A table that vanished from Dataverse keeps its rows; the schema report says so.
    if (table === undefined) continue;
    const known = stateIn(state, table);
    const asked = asksToReread(reread, config.name) ? onRequest : undefined;
    entities[config.name] = planTable({
      config,
      table,
      state: known,
      // A table that is new is read in full anyway; the request is met by that.
      rereadReason: known
        ? joinReasons([organizationReason, rereads.get(config.name), known.reread, asked])
        : asked,
      allowsMassDelete: allowMassDelete.includes(config.name),
      isNarrow: tables !== undefined,
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
    organizationId: catalog.organizationId,
    labelsAgainAt: catalog.labelsAgainAt,
    schemaReport,
    configured: configs.map(({ name }) => name).sort(),
    entities,
    narrow: tables && narrowPlan(tables, configs, catalog, state),
  };
  const here = Object.entries(state.entities).filter(([name]) => {
    const table = catalog.tables[name];
    return table === undefined || stateIn(state, table) !== undefined;
  });
  const first = readsFirst
    ? await readFirstSlices(services, plan, catalog, Object.fromEntries(here))
    : { slices: {}, kept: new Map() };
  return { plan: { ...plan, slices: first.slices }, catalog, loaded, first };
}

/** Stores the planned round, unless a plan exists, and requests what it has not read yet. */
export async function startFirstRound(services: SyncServices, { plan, first }: PlannedRound): Promise<void> {
  await storeKept(services, plan, first);
  await startRound(services, plan);
}

/** Why every table is read again, if another organisation than before answers at the address. */
function otherOrganizationReason(
  services: SyncServices,
  { organizationId: before, entities }: State,
  { organizationId: now }: LoadedCatalog,
  runId: string,
): string | undefined {
  if (before === undefined || now === undefined || before === now) return undefined;
  if (Object.keys(entities).length > 0) {
    const message = `Dataverse is the organisation ${now} and was ${before} until now. All tables are read again in full.`;
    services.telemetry.log('warn', message, { runId });
  }
  return otherOrganization;
}

import { describeError } from '../../errors.ts';
import { readCachedState } from '../documents/load-state.ts';
import type { TableReport } from '../documents/report.ts';
import type { RunDocument, RunPhase, RunQuality } from '../documents/run.ts';
import type { SyncServices } from '../documents/services.ts';
import type { State } from '../documents/state.ts';
import { strategies } from '../strategies/registry.ts';

/** Dataverse counts no further (learn.microsoft.com: "Count rows using Web API"). */
const countLimit = 5000;

/**
 * Adds to a run's report how the mirror stands: rows and time of the last reading per entity, from `state.json`;
 * Dataverse's own count for tables of fewer than 5,000 rows that the run changed. Rows that came or went in Dataverse
 * since they were read make a difference too. A run that changed nothing asks Dataverse nothing.
 */
export async function withQuality(
  services: SyncServices,
  report: Pick<RunDocument, 'entities'>,
  phase: RunPhase,
): Promise<{ entities: TableReport[]; quality?: RunQuality }> {
  const reports = report.entities ?? [];
  const state = (await readCachedState(services))?.value;
  if (state === undefined) return { entities: reports };
  const entities = await Promise.all(
    reports.map(async (entity): Promise<TableReport> => {
      const known = state.entities[entity.name];
      if (known === undefined) return entity;
      const { rows, syncedAt, table, strategy } = known;
      const countable = strategies[strategy].wholeTable && rows < countLimit;
      const dataverseRows =
        phase === 'complete' && countable && changed(entity)
          ? await countRows(services, entity.name, table.name)
          : undefined;
      return { ...entity, rows, syncedAt, ...(dataverseRows === undefined ? {} : { dataverseRows }) };
    }),
  );
  return { entities, quality: qualityOf(services, state, entities) };
}

function changed({ state, error, added, updated, deleted }: TableReport): boolean {
  return state === 'merged' && error === undefined && added + updated + deleted > 0;
}

async function countRows(
  services: SyncServices,
  name: string,
  entitySet: string,
): Promise<number | undefined> {
  try {
    return await services.dataverse.count(entitySet);
  } catch (error) {
    services.telemetry.log('info', `Dataverse did not count the rows of ${name}.`, {
      entity: name,
      reason: describeError(error).message,
    });
    return undefined;
  }
}

function qualityOf(services: SyncServices, state: State, entities: readonly TableReport[]): RunQuality {
  const byStrategy: RunQuality['byStrategy'] = {};
  let rows = 0;
  let oldest: string | undefined;
  for (const known of Object.values(state.entities)) {
    const sum = byStrategy[known.strategy] ?? { tables: 0, rows: 0 };
    byStrategy[known.strategy] = { tables: sum.tables + 1, rows: sum.rows + known.rows };
    rows += known.rows;
    if (oldest === undefined || known.syncedAt < oldest) oldest = known.syncedAt;
  }
  const counted = entities.filter(({ dataverseRows }) => dataverseRows !== undefined);
  return {
    byStrategy,
    rows,
    ...(oldest === undefined
      ? {}
      : { oldestSync: oldest, ageSeconds: (services.now().getTime() - Date.parse(oldest)) / 1000 }),
    counted: counted.length,
    miscounted: counted.filter((one) => one.dataverseRows !== one.rows).map(({ name }) => name),
  };
}

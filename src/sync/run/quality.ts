import { countLimit } from '../../dataverse/read/count.ts';
import { describeForLog, SyncError } from '../../errors.ts';
import { entitySetOf } from '../../schema/table.ts';
import type { State } from '../../target/state.ts';
import type { TableReport } from '../documents/report.ts';
import type { RunPhase, RunQuality } from '../documents/run.ts';
import type { SyncServices } from '../documents/services.ts';
import { strategies } from '../strategies/registry.ts';

/**
 * Adds to a run's report how good the mirror is: for each table its rows and the time of its last read, and Dataverse's
 * own count for tables of fewer than 5,000 rows that the run changed. Rows created or deleted in Dataverse since the
 * read make the counts differ, too. A run that changed nothing counts nothing.
 */
export async function addQuality(
  services: SyncServices,
  reports: readonly TableReport[],
  phase: RunPhase,
  state: State,
): Promise<{ entities: TableReport[]; quality: RunQuality }> {
  const entities = await Promise.all(
    reports.map(async (report): Promise<TableReport> => {
      const known = state.entities[report.name];
      if (known === undefined) return report;
      const { rows, syncedAt, table, strategy } = known;
      const counts =
        phase === 'complete' && isChanged(report) && strategies[strategy].wholeTable && rows < countLimit;
      const dataverseRows = counts ? await countRows(services, report.name, entitySetOf(table)) : undefined;
      return { ...report, rows, syncedAt, dataverseRows };
    }),
  );
  return { entities, quality: qualityOf(services, state, entities) };
}

function isChanged({ state, error, added, updated, deleted }: TableReport): boolean {
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
    // A figure of the report, for which no run should fail.
    const level = error instanceof SyncError ? 'info' : 'error';
    const message = `Dataverse did not count the rows of ${name}: ${describeForLog(error)}`;
    services.telemetry.log(level, message, { entity: name });
    return undefined;
  }
}

function qualityOf(services: SyncServices, state: State, reports: readonly TableReport[]): RunQuality {
  const byStrategy: RunQuality['byStrategy'] = {};
  const { configured } = state;
  // A table that is not configured any more keeps the rows of its last sync, and says nothing about this run.
  const known = Object.entries(state.entities)
    .filter(([name]) => configured === undefined || configured.includes(name))
    .map(([, table]) => table);
  for (const { strategy, rows } of known) {
    const sum = byStrategy[strategy] ?? { tables: 0, rows: 0 };
    byStrategy[strategy] = { tables: sum.tables + 1, rows: sum.rows + rows };
  }
  const [oldestSync] = known.map(({ syncedAt }) => syncedAt).sort();
  const age = oldestSync === undefined ? undefined : services.now().getTime() - Date.parse(oldestSync);
  const counted = reports.filter(({ dataverseRows }) => dataverseRows !== undefined);
  return {
    byStrategy,
    rows: known.reduce((sum, { rows }) => sum + rows, 0),
    oldestSync,
    ageSeconds: age === undefined ? undefined : age / 1000,
    counted: counted.length,
    miscounted: counted.filter((one) => one.dataverseRows !== one.rows).map(({ name }) => name),
  };
}

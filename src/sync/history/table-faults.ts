import { z } from 'zod';
import { describeForLog } from '../../errors.ts';
import { unlessDamaged } from '../../storage/document-store.ts';
import type { State } from '../../target/state.ts';
import { paths } from '../documents/paths.ts';
import type { TableReport } from '../documents/report.ts';
import type { RunDocument } from '../documents/run.ts';
import type { SyncServices } from '../documents/services.ts';

/*
 * `faults.json`: what went wrong with which table last. Reports of runs are many and are deleted, and a run of other tables
 * says nothing about it. Only runs in which something failed write it: whether a table was read since, the state says.
 */

/** What went wrong with one table. */
export interface TableFault {
  runId: string;
  error: string;
  hint?: string | undefined;
  /** Rows whose deletes were held back. */
  heldBack?: number | undefined;
  /** `syncedAt` of the table's state when the run was over; absent if there was none. A later read changes it. */
  syncedAt?: string | undefined;
}

const shape = z.record(
  z.string(),
  z.object({
    runId: z.string(),
    error: z.string(),
    hint: z.string().optional(),
    heldBack: z.number().optional(),
    syncedAt: z.string().optional(),
  }),
);

type Stored = Record<string, TableFault>;

async function readStored({ work }: Pick<SyncServices, 'work'>): Promise<Stored> {
  const found = await unlessDamaged(work.read(paths.faults));
  return shape.safeParse(found?.value).data ?? {};
}

/** Notes what went wrong with tables in a run that is over. A note that cannot be written must not keep the run live. */
export async function rememberFaults(services: SyncServices, run: RunDocument): Promise<void> {
  const { runId, entities = [] } = run;
  if (!entities.some(({ error }) => error !== undefined)) return;
  try {
    const stored = new Map(Object.entries(await readStored(services)));
    for (const { name, error, hint, heldBack, syncedAt } of entities) {
      if (error !== undefined) stored.set(name, { runId, error, hint, heldBack, syncedAt });
      // A table that the run planned and did not get to merge is as it was.
      else if (stored.get(name)?.syncedAt !== syncedAt) stored.delete(name);
    }
    await services.work.put(paths.faults, Object.fromEntries(stored));
  } catch (error) {
    const message = `The faults of the run could not be noted for later runs: ${describeForLog(error)}`;
    services.telemetry.log('warn', message, { runId });
  }
}

/**
 * What is wrong with tables now, by logical name: what went wrong last, unless they were read without an error since.
 * Nothing while there is no state, which alone says that.
 */
export async function readFaults(
  services: Pick<SyncServices, 'work'>,
  state: State | undefined,
): Promise<Map<string, TableFault>> {
  if (state === undefined) return new Map();
  const stored = Object.entries(await readStored(services));
  return new Map(stored.filter(([name, fault]) => isNow(name, fault, state)));
}

/** Whether a fault of a table is still the latest thing known of it. */
export function isNow(
  name: string,
  { syncedAt }: Pick<TableFault | TableReport, 'syncedAt'>,
  state: State | undefined,
): boolean {
  const known = Object.hasOwn(state?.entities ?? {}, name) ? state!.entities[name] : undefined;
  // A table that is no longer configured keeps the rows of its last sync.
  if (known !== undefined && state?.configured?.includes(name) === false) return false;
  return known?.syncedAt === syncedAt;
}

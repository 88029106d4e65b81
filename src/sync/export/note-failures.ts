import { describeFailure, describeForLog, type Failure } from '../../errors.ts';
import type { SyncServices } from '../documents/services.ts';
import type { ExportClaim } from './claim-export.ts';
import type { ExportFailure } from './export-document.ts';

/** What a table could not be exported for. */
export interface Fault {
  /** Logical name; undefined if it is about all tables. */
  table?: string;
  error: unknown;
}

/**
 * Notes what the export could not do, and tells it once, until it works again or fails for another reason.
 * @param untried tables of which nothing new is known
 */
export async function noteFailures(
  { telemetry, now }: SyncServices,
  claim: ExportClaim,
  faults: readonly Fault[],
  { runId, untried = new Set() }: { runId: string; untried?: ReadonlySet<string> | undefined },
): Promise<void> {
  const at = now().toISOString();
  const before = claim.value.failures;
  const tell = ({ error, hint }: Failure, { table, error: thrown }: Fault): void => {
    const what = table === undefined ? 'The export to the lake' : `The export of ${table} to the lake`;
    telemetry.log('error', `${what} failed: ${describeForLog(thrown)}`, { runId, hint, entity: table });
    telemetry.event('ExportFailed', { runId, table, error }, {});
  };
  const failures = faults.map((fault): ExportFailure => {
    const { table, error } = fault;
    const described = describeFailure(error, runId);
    const known = before.find((one) => one.table === table && one.error === described.error);
    if (known === undefined) tell(described, fault);
    return { ...described, ...(table !== undefined && { table }), since: known?.since ?? at, at };
  });
  const tried = new Set(faults.map(({ table }) => table));
  failures.push(
    ...before.filter(({ table }) => table !== undefined && untried.has(table) && !tried.has(table)),
  );
  if (before.length > 0 && failures.length === 0) {
    telemetry.log('info', 'The export to the lake works again.', { runId });
  }
  claim.value = { ...claim.value, failures };
}

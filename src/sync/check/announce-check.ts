import type { SyncServices } from '../documents/services.ts';
import type { StoredCheck } from './check-document.ts';

/** Says what a check found, in the log and to the monitor. */
export function announceCheck({ telemetry }: SyncServices, check: StoredCheck): void {
  const { checkId, startedAt, finishedAt, database, faults, faultCount, miscounted, danglingReferences } =
    check;
  const figures = {
    seconds: (Date.parse(finishedAt) - Date.parse(startedAt)) / 1000,
    databaseBytes: database.bytes,
    faults: faultCount,
    miscounted: miscounted.length,
    danglingReferences,
  };
  const isGood = faultCount === 0 && miscounted.length === 0;
  telemetry.log(isGood ? 'info' : 'warn', `Check ${checkId} is complete.`, { checkId, ...figures });
  telemetry.event('DatabaseChecked', { checkId }, figures);
  for (const { table, kept, counted } of miscounted) {
    const message = `The row count of ${table} is wrong: ${kept} instead of ${counted}. The next merge of its rows corrects it.`;
    telemetry.log('warn', message, { table, kept, counted });
  }
  if (faultCount === 0) return;
  const tables = damagedTables(check).join(', ');
  const [first] = faults;
  const hint = damageHint(check);
  telemetry.log('error', `The database is damaged: ${first?.text ?? ''}.`, {
    checkId,
    faults: faultCount,
    tables,
    hint,
  });
  telemetry.event('DatabaseDamaged', { checkId, tables, error: first?.text }, { faults: faultCount });
}

/** The tables with faults, as the database names them. Only the first faults are kept, so there may be more. */
export function damagedTables({ faults }: Pick<StoredCheck, 'faults'>): string[] {
  return [...new Set(faults.flatMap(({ table }) => table ?? []))];
}

/** What to do about a database with faults. */
export function damageHint(check: Pick<StoredCheck, 'faultCount' | 'faults'>): string | undefined {
  if (check.faultCount === 0) return undefined;
  return 'Put an earlier state back with npm run restore. Without one, delete the database: the next sync reads everything again.';
}

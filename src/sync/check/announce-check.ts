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
  const databases = damagedDatabases(check).join(', ') || undefined;
  const [first] = faults;
  const error = first?.text;
  const hint = damageHint(check);
  telemetry.log('error', `${damageSubject(first?.database)}: ${error ?? ''}.`, {
    ...{ checkId, databases, tables, hint },
    faults: faultCount,
  });
  telemetry.event('DatabaseDamaged', { checkId, databases, tables, error }, { faults: faultCount });
}

/** @param database absent if there is only one */
export function damageSubject(database: string | undefined): string {
  return database === undefined ? 'The database is damaged' : `The database ${database} is damaged`;
}

/** The names of the databases with faults; none if there is only one database. */
function damagedDatabases({ faults }: Pick<StoredCheck, 'faults'>): string[] {
  return [...new Set(faults.flatMap(({ database }) => database ?? []))];
}

/** The tables with faults, as the database names them. Only the first faults are kept, so there may be more. */
export function damagedTables({ faults }: Pick<StoredCheck, 'faults'>): string[] {
  return [...new Set(faults.flatMap(({ table }) => table ?? []))];
}

/** What to do about a database with faults. */
export function damageHint(check: Pick<StoredCheck, 'faultCount' | 'faults'>): string | undefined {
  if (check.faultCount === 0) return undefined;
  const names = damagedDatabases(check);
  if (names.length === 0)
    return 'Put an earlier state back with npm run restore. Without one, delete the database: the next sync reads everything again.';
  const commands = names.map((name) => `npm run restore -- --database ${name}`).join(', and with ');
  return `Put an earlier state back with ${commands}. Without one, delete that database: the next sync reads its tables again.`;
}

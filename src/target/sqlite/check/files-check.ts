import type { CheckOptions, CheckProgress, CheckResult, CheckStep } from '../../mirror-check.ts';
import { combinedEtag, type Databases } from '../files/databases.ts';
import { firstProgress, SqliteCheck, type SqliteCheckOptions } from './sqlite-check.ts';

/** Checks the database files of the mirror, one after the other. */
export class FilesCheck {
  readonly #options: Omit<SqliteCheckOptions, 'file' | 'database'>;
  readonly #databases: Databases;

  constructor(options: Omit<SqliteCheckOptions, 'file' | 'database'>, databases: Databases) {
    this.#options = options;
    this.#databases = databases;
  }

  /**
   * @param names of the files that exist
   * @param before what the step before returned; undefined for the first step
   */
  async step(
    names: readonly string[],
    before: CheckProgress | undefined,
    options: CheckOptions,
  ): Promise<CheckStep> {
    const { defaultName } = this.#databases;
    const { checked: done = [], database: current, ...own } = before ?? {};
    // A check that began with one file has no name in its progress. Tables can have been divided since.
    const database = before === undefined ? (names[0] ?? defaultName) : (current ?? defaultName);
    const file = this.#databases.file(database);
    const check = new SqliteCheck({
      ...this.#options,
      file,
      database: database === defaultName ? undefined : database,
    });
    const { progress, result } = await check.step(
      before === undefined ? undefined : (own as CheckProgress),
      options,
    );
    const place =
      names.length === 1 && database === defaultName && done.length === 0 ? {} : { database, checked: done };
    if (result === undefined) return { progress: { ...progress, ...place } };
    const checked = [...done, { database, result }];
    const next = names.find((name) => !checked.some((one) => one.database === name));
    if (next === undefined)
      return { progress: { ...progress, ...place }, result: combined(checked, defaultName) };
    return { progress: { ...firstProgress, database: next, checked } };
  }
}

function combined(
  checked: readonly { database: string; result: CheckResult }[],
  defaultName: string,
): CheckResult {
  const results = checked.map(({ result }) => result);
  if (results.length === 1) return results[0]!;
  const sum = (of: (result: CheckResult) => number) =>
    results.reduce((total, result) => total + of(result), 0);
  const etags = new Map(checked.map(({ database, result }) => [database, result.database.etag]));
  const areCounted = results.every(({ foreignKeys }) => foreignKeys !== undefined);
  return {
    database: { etag: combinedEtag(etags, defaultName)!, bytes: sum(({ database }) => database.bytes) },
    tables: sum(({ tables }) => tables),
    pages: sum(({ pages }) => pages),
    freePages: sum(({ freePages }) => freePages),
    faults: checked.flatMap(({ database, result }) => result.faults.map((fault) => ({ database, ...fault }))),
    faultCount: sum(({ faultCount }) => faultCount),
    miscounted: results.flatMap(({ miscounted }) => miscounted),
    uncounted: results.flatMap(({ uncounted }) => uncounted),
    ...(areCounted && {
      danglingReferences: sum(({ danglingReferences = 0 }) => danglingReferences),
      foreignKeys: results.flatMap(({ foreignKeys = [] }) => foreignKeys).sort((a, b) => b.count - a.count),
    }),
  };
}

import { text } from 'node:stream/consumers';
import { ConflictError } from '../../errors.ts';
import { formatCount } from '../../terminal/format.ts';
import { openMirrorOf } from '../open-mirror-of.ts';
import { formatResult } from './format-result.ts';
import { parseQueryOptions } from './query-options.ts';

/** `dataverse-sqlite-sync query`. @returns the exit status */
export async function query(args: readonly string[]): Promise<number> {
  const options = parseQueryOptions(args, process.stdout.isTTY === true);
  const sql = options.sql === '-' ? await text(process.stdin) : options.sql;
  const mirror = await openMirrorOf(options.mirror, options.signIn);
  try {
    const { maxRows, timeoutMs, parameters } = options;
    const limits = {
      ...(maxRows !== undefined && { maxRows }),
      ...(timeoutMs !== undefined && { timeoutMs }),
    };
    const run = () => mirror.execute(sql, parameters, limits);
    const result = await run().catch(async (error: unknown) => {
      // A sync has committed meanwhile. A query can be repeated.
      if (!(error instanceof ConflictError)) throw error;
      await mirror.refresh();
      return run();
    });
    for (const part of formatResult(result, options.format, process.stdout.columns)) {
      if (!process.stdout.write(part)) await drained();
    }
    if (!result.isComplete) {
      process.stderr.write(
        `Only the first ${formatCount(result.rows.length)} rows are shown. --max-rows shows more.\n`,
      );
    }
    return 0;
  } finally {
    await mirror.close();
  }
}

function drained(): Promise<void> {
  return new Promise((done) => process.stdout.once('drain', done));
}

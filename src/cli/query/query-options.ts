import { parseArgs } from 'node:util';
import { ConfigurationError } from '../../errors.ts';

export const queryHelp = `Runs SQL over a mirror, which it only reads. Of a mirror behind an address it transfers only what the query needs.

  dataverse-sqlite-sync query MIRROR SQL [--format table|json|csv]

  MIRROR              a SQLite file, the address of GET /api/database, or the address of the blob
  SQL                 one statement; - reads it from standard input
  --format            table (for people), json (one array of objects) or csv (RFC 4180). Without it: table in a terminal, csv
                      elsewhere
  --param VALUE       the value of the next ? in the statement, as text; may be given several times
  --max-rows N        leave out further rows, and say so on standard error. Default: 1000 for table, else no limit
  --timeout SECONDS   stop a query that takes longer
  --sign-in           sign in to Blob storage: the Azure CLI, a managed identity, or AZURE_ environment variables
  --help

The function key is read from MIRROR_FUNCTION_KEY, or the address has it (?code=).
Integers are exact. Exit status: 0; 1 the query failed; 2 wrong options.`;

export const formats = ['table', 'json', 'csv'] as const;
export type Format = (typeof formats)[number];

export interface QueryCommandOptions {
  mirror: string;
  /** `-` for standard input. */
  sql: string;
  format: Format;
  parameters: string[];
  maxRows: number | undefined;
  timeoutMs: number | undefined;
  signIn: boolean;
}

/** @throws ConfigurationError, and the errors of `parseArgs` */
export function parseQueryOptions(args: readonly string[], isTerminal: boolean): QueryCommandOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      format: { type: 'string' },
      param: { type: 'string', multiple: true, default: [] },
      'max-rows': { type: 'string' },
      timeout: { type: 'string' },
      'sign-in': { type: 'boolean', default: false },
    },
  });
  const fail = (message: string, hint: string): never => {
    throw new ConfigurationError(message, { operation: 'read the options', hint });
  };
  const [mirror, sql, ...more] = positionals;
  if (mirror === undefined || sql === undefined || more.length > 0) {
    return fail(
      'Give a mirror and one statement.',
      `For example: dataverse-sqlite-sync query my.db 'SELECT count(*) FROM accounts'`,
    );
  }
  const format = values.format ?? (isTerminal ? 'table' : 'csv');
  if (!formats.includes(format as Format))
    fail(`--format is none of ${formats.join(', ')}: ${format}`, 'Choose one of them.');
  const positive = (name: 'max-rows' | 'timeout'): number | undefined => {
    const text = values[name];
    if (text === undefined) return undefined;
    const number = Number(text);
    return Number.isFinite(number) && number > 0 && (name === 'timeout' || Number.isInteger(number))
      ? number
      : fail(
          `--${name} is not a positive ${name === 'timeout' ? 'number' : 'whole number'}: ${text}`,
          'Give a number.',
        );
  };
  const seconds = positive('timeout');
  return {
    ...{ mirror, sql, format: format as Format, parameters: values.param, signIn: values['sign-in'] },
    maxRows: positive('max-rows') ?? (format === 'table' ? 1000 : undefined),
    timeoutMs: seconds === undefined ? undefined : seconds * 1000,
  };
}

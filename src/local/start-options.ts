import { parseArgs } from 'node:util';
import { isLoopback } from '../config/environment-url.ts';
import { isEnvironmentName } from '../config/environments/environment-name.ts';
import type { RereadRequest } from '../sync/documents/run.ts';

/** The options of `npm start`, validated. */
export interface StartOptions {
  once: boolean;
  /** Check what the app needs, then exit, without a sync. */
  check: boolean;
  /** The origin of a Dataverse environment other than the sample. */
  dataverse?: string;
  entities?: string;
  out?: string;
  data?: string;
  port?: number;
  rows: number;
  /** The sample Dataverse keeps changing, and a sync starts every 20 seconds. */
  live?: boolean;
  metadata?: string;
  /** Where the mirror is. */
  target: 'sqlite' | 'postgres';
  /** Names of further environments, each with a sample Dataverse of its own. */
  environments?: string[];
  /** Logical names of tables that may lose rows beyond their limit in the first sync. */
  allowMassDelete?: string[];
  /** Logical names of tables that the first sync reads again in full, or all. */
  reread?: RereadRequest;
  quiet: boolean;
  json: boolean;
}

export const DEFAULT_ROWS = 20_000;
/** The default port of `func start`. */
export const DEFAULT_PORT = 7071;

export const helpText = `Usage: npm start -- [options]

Runs the function app on this machine with a storage emulator and a sample Dataverse.
Runs a first sync at once, then syncs on schedule until Ctrl-C.

  --once             run one sync, then exit; the exit status is 1 if a table failed
  --check            check storage, Dataverse and its privileges without a sync, then exit; the
                     exit status is 1 if a check failed
  --dataverse URL    sync a Dataverse environment other than the sample, for example
                     https://contoso.crm.dynamics.com (http:// for loopback addresses only);
                     set DATAVERSE_ACCESS_TOKEN to an access token, or configure other
                     credentials in local.settings.json
  --entities FILE    the tables to sync (default: entities.json)
  --target TARGET    where the mirror is: sqlite (default), or postgres, which starts a PostgreSQL server
                     on this machine as well
  --environments LIST
                     sync further environments side by side, each with a sample Dataverse and a mirror of
                     its own: names with commas between them, such as sales,service
  --out FILE         copy the finished database to this file, readable by you only; other
                     databases of entities.json are copied next to it
  --data DIR         where the storage emulator keeps its files, readable by you only (default: a folder in .data)
  --port N           the port of the functions (default: ${DEFAULT_PORT}; with --once, any free port)
  --rows N           the number of rows in the sample Dataverse (default: ${DEFAULT_ROWS})
  --live             let the rows of the sample Dataverse keep changing, and sync every 20 seconds, to see
                     the web pages live; each start begins anew
  --metadata FILE    let the sample Dataverse serve this $metadata document, with generated rows
  --allow-mass-delete TABLE
                     let the first sync delete more rows of this table than its limit allows; can be
                     repeated
  --reread TABLE     let the first sync read all rows of this table again, whatever it knows of
                     them; can be repeated; "all" for every table
  --quiet            print only the result, not the progress
  --json             print one line of JSON at the end, and nothing else, to standard output
  --help             show this text
`;

/** The command line is invalid: the caller shows the help. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError';
}

/** @throws UsageError for an unknown option or an invalid value */
export function parseStartOptions(args: string[]): StartOptions | 'help' {
  let values: ReturnType<typeof parse>;
  try {
    values = parse(args);
  } catch (error) {
    throw new UsageError((error as Error).message.split('. ')[0]);
  }
  if (values.help) return 'help';
  // A check runs no timer and takes any free port, as one sync does.
  const {
    check = false,
    once = check,
    quiet = false,
    json = false,
    live = false,
    dataverse,
    entities,
    out,
    data,
    metadata,
    target = 'sqlite',
  } = values;
  if (target !== 'sqlite' && target !== 'postgres') {
    throw new UsageError(`--target takes sqlite or postgres, not "${target}"`);
  }
  if (target === 'postgres' && out !== undefined) {
    throw new UsageError('--out copies a database file; with --target postgres there is none');
  }
  if (dataverse !== undefined && (metadata !== undefined || values.rows !== undefined)) {
    throw new UsageError('--metadata and --rows apply to the sample Dataverse only, not to --dataverse');
  }
  if (live && (dataverse !== undefined || once)) {
    throw new UsageError('--live applies to the sample Dataverse, and not to --once and --check');
  }
  const environments = names(values.environments);
  if (environments !== undefined && (dataverse ?? metadata ?? out) !== undefined) {
    throw new UsageError(
      '--environments starts sample environments: not with --dataverse, --metadata and --out',
    );
  }
  if (environments !== undefined && json) {
    throw new UsageError('--json prints the result of one environment, so not with --environments');
  }
  const port = wholeNumber('port', values.port, 65_535);
  const rows = wholeNumber('rows', values.rows, 100_000_000) ?? DEFAULT_ROWS;
  const allowMassDelete = values['allow-mass-delete'];
  const reread = values.reread?.includes('all') ? 'all' : values.reread;
  const files = { entities, out, data, metadata };
  return {
    once,
    check,
    quiet,
    json,
    rows,
    target,
    ...(live && { live }),
    ...(environments && { environments }),
    port,
    dataverse: origin(dataverse),
    ...files,
    allowMassDelete,
    reread,
  };
}

function parse(args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      once: { type: 'boolean' },
      check: { type: 'boolean' },
      dataverse: { type: 'string' },
      entities: { type: 'string' },
      out: { type: 'string' },
      data: { type: 'string' },
      port: { type: 'string' },
      rows: { type: 'string' },
      live: { type: 'boolean' },
      metadata: { type: 'string' },
      target: { type: 'string' },
      environments: { type: 'string' },
      'allow-mass-delete': { type: 'string', multiple: true },
      reread: { type: 'string', multiple: true },
      quiet: { type: 'boolean' },
      json: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  return values;
}

function names(text: string | undefined): string[] | undefined {
  if (text === undefined) return undefined;
  const list = text.split(',').map((name) => name.trim());
  const wrong = list.find((name, at) => !isEnvironmentName(name) || list.indexOf(name) !== at);
  if (wrong === undefined) return list;
  throw new UsageError(
    `--environments takes different names of 2 to 20 lower-case letters, digits and single hyphens, not "${wrong}"`,
  );
}

function wholeNumber(name: string, text: string | undefined, max: number): number | undefined {
  if (text === undefined) return undefined;
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (number <= max) return number;
  throw new UsageError(`--${name} takes a whole number up to ${max}, not "${text}"`);
}

function origin(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const url = URL.parse(text);
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url))) return url.origin;
  throw new UsageError(
    `--dataverse takes a URL such as https://contoso.crm.dynamics.com (http:// for loopback addresses only), not "${text}"`,
  );
}

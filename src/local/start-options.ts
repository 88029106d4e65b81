import { parseArgs } from 'node:util';

/** The options of `npm start`, checked. */
export interface StartOptions {
  once: boolean;
  /** The origin of another Dataverse than the sample one. */
  dataverse?: string;
  entities?: string;
  out?: string;
  data?: string;
  port?: number;
  rows: number;
  metadata?: string;
  quiet: boolean;
  json: boolean;
}

export const DEFAULT_ROWS = 20_000;
/** The port that `func start` takes too. */
export const DEFAULT_PORT = 7071;

export const helpText = `Usage: npm start -- [options]

Runs the function app on this machine, with a storage emulator and a sample Dataverse,
makes a first sync at once, and goes on by the schedule until Ctrl-C.

  --once             make one sync, then exit; status 1 where an entity failed
  --dataverse URL    another Dataverse than the sample one, such as https://contoso.crm.dynamics.com
                     (plain HTTP for loopback addresses only); DATAVERSE_ACCESS_TOKEN may hold a
                     ready token, other credentials come from local.settings.json
  --entities FILE    the tables to sync; by default entities.json
  --out FILE         copy the finished database there
  --data DIR         where the storage emulator keeps its files; by default a folder in .data
  --port N           where the functions listen; by default ${DEFAULT_PORT}, with --once any free port
  --rows N           rows of the sample Dataverse; by default ${DEFAULT_ROWS}
  --metadata FILE    let the sample Dataverse serve this $metadata document, with made-up rows
  --quiet            no progress, only the result
  --json             print one line of JSON at the end, and nothing else, to standard output
  --help             show this text
`;

/** The command line is wrong: show the help. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError';
}

/** @throws UsageError for an unknown option or a value that makes no sense. */
export function parseStartOptions(args: string[]): StartOptions | 'help' {
  let values: ReturnType<typeof parse>;
  try {
    values = parse(args);
  } catch (error) {
    throw new UsageError((error as Error).message.split('. ')[0]);
  }
  if (values.help) return 'help';
  const port = wholeNumber('port', values.port, 65_535);
  const { once = false, quiet = false, json = false, dataverse, entities, out, data, metadata } = values;
  if (dataverse !== undefined && (metadata !== undefined || values.rows !== undefined)) {
    throw new UsageError('--metadata and --rows are for the sample Dataverse; --dataverse names another');
  }
  return {
    once,
    quiet,
    json,
    rows: wholeNumber('rows', values.rows, 100_000_000) ?? DEFAULT_ROWS,
    ...(port !== undefined && { port }),
    ...(dataverse !== undefined && { dataverse: origin(dataverse) }),
    ...(entities !== undefined && { entities }),
    ...(out !== undefined && { out }),
    ...(data !== undefined && { data }),
    ...(metadata !== undefined && { metadata }),
  };
}

function parse(args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      once: { type: 'boolean' },
      dataverse: { type: 'string' },
      entities: { type: 'string' },
      out: { type: 'string' },
      data: { type: 'string' },
      port: { type: 'string' },
      rows: { type: 'string' },
      metadata: { type: 'string' },
      quiet: { type: 'boolean' },
      json: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  return values;
}

function wholeNumber(name: string, text: string | undefined, max: number): number | undefined {
  if (text === undefined) return undefined;
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (number <= max) return number;
  throw new UsageError(`--${name} takes a whole number up to ${max}, not "${text}"`);
}

const LOOPBACK = /^(localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

function origin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && LOOPBACK.test(url.hostname)))
    return url.origin;
  throw new UsageError(
    `--dataverse takes an address such as https://contoso.crm.dynamics.com (http:// for this machine only), not "${text}"`,
  );
}

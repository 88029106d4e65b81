import { createHash, randomBytes } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { ConfigurationError } from '../errors.ts';
import { DEFAULT_ROWS, type StartOptions } from './start-options.ts';

/** Where the rows come from. A data folder belongs to one source: its cursors mean nothing to another. */
export interface LocalSource {
  /** Says what it is, for people, and tells sources apart. */
  identity: string;
  /** The folder in `.data` that it has by default. */
  folderName: string;
}

/** `tables` are those that the sample Dataverse makes rows for, where it serves a real document. */
export function sourceOf(options: StartOptions, tables: readonly string[] | undefined): LocalSource {
  if (options.dataverse !== undefined) {
    return { identity: options.dataverse, folderName: new URL(options.dataverse).host.replace(':', '-') };
  }
  if (options.metadata === undefined) {
    const identity = `the sample Dataverse with ${options.rows} rows`;
    return { identity, folderName: options.rows === DEFAULT_ROWS ? 'sample' : `sample-${options.rows}` };
  }
  const digest = createHash('sha256').update(JSON.stringify(tables)).digest('hex').slice(0, 8);
  const name = basename(options.metadata, extname(options.metadata));
  return {
    identity: `the sample Dataverse with ${options.rows} rows for ${options.metadata} (${digest})`,
    folderName: `${name.replace(/[^\w.-]/g, '-')}-${options.rows}-${digest}`,
  };
}

/** What has to be the same at the next start: `local.json` in the data folder. */
export interface LocalState {
  source: string;
  /** So that the status page's address stays. */
  functionKey: string;
  /** When the sample's rows were made; they count back from there. */
  since: string;
  /** So that the sample's links stay good. */
  samplePort?: number;
}

/** @throws ConfigurationError where the folder belongs to another source. */
export async function readLocalState(folder: string, source: LocalSource): Promise<LocalState> {
  const file = join(folder, 'local.json');
  let state: LocalState;
  try {
    state = JSON.parse(await readFile(file, 'utf8')) as LocalState;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw new ConfigurationError(`Cannot read ${file}: ${(cause as Error).message}`, {
        object: file,
        hint: `Remove the folder ${folder}: the next sync fills it anew.`,
        cause,
      });
    }
    return {
      source: source.identity,
      functionKey: randomBytes(30).toString('base64url'),
      since: new Date().toISOString(),
    };
  }
  if (state.source !== source.identity) {
    throw new ConfigurationError(
      `The data folder ${folder} belongs to ${state.source}, not to ${source.identity}`,
      {
        object: folder,
        hint: 'Choose another folder with --data, or remove this one.',
      },
    );
  }
  return state;
}

export async function writeLocalState(folder: string, state: LocalState): Promise<void> {
  const file = join(folder, 'local.json');
  await writeFile(`${file}~`, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  await rename(`${file}~`, file);
}

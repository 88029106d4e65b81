import { randomBytes } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigurationError } from '../../errors.ts';
import type { LocalSource } from '../local-source.ts';

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

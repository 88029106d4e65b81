import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigurationError } from '../../errors.ts';
import type { LocalPostgresState } from '../emulators/local-postgres.ts';
import type { LocalSource } from '../local-source.ts';
import { replaceText } from './private-file.ts';

/** What one start keeps for the next: `local.json` in the data folder. */
export interface LocalState {
  /** The source's identity. */
  source: string;
  /** Kept so that the address of the status page stays valid. */
  functionKey: string;
  /** The key of the storage emulator's account: the key that every emulator has by default is public. */
  storageKey: string;
  /** When the newest row of the sample Dataverse was created, in ISO 8601. */
  since: string;
  /** Kept so that the stored links to the sample Dataverse stay valid. */
  samplePort?: number;
  /** The same of further environments, by name. */
  environmentPorts?: Record<string, number>;
  /** Of `--target postgres`. */
  postgres?: LocalPostgresState;
}

/** @throws ConfigurationError if the file is damaged or the folder belongs to another source */
export async function readLocalState(folder: string, source: LocalSource): Promise<LocalState> {
  const file = join(folder, 'local.json');
  let state: LocalState;
  try {
    state = JSON.parse(await readFile(file, 'utf8')) as LocalState;
    // Version 0.1.0 used the public key.
    state.storageKey ??= newStorageKey();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw new ConfigurationError(`Cannot read ${file}: ${(cause as Error).message}`, {
        object: file,
        hint: `Delete the folder ${folder}; the next start creates it again.`,
        cause,
      });
    }
    return {
      source: source.identity,
      functionKey: randomBytes(30).toString('base64url'),
      storageKey: newStorageKey(),
      since: new Date().toISOString(),
    };
  }
  if (state.source !== source.identity) {
    throw new ConfigurationError(
      `The data folder ${folder} belongs to ${state.source}, not to ${source.identity}`,
      { object: folder, hint: 'Choose another folder with --data, or delete this one.' },
    );
  }
  return state;
}

export async function writeLocalState(folder: string, state: LocalState): Promise<void> {
  await replaceText(join(folder, 'local.json'), `${JSON.stringify(state, null, 2)}\n`);
}

function newStorageKey(): string {
  return randomBytes(64).toString('base64');
}

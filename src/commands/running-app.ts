import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { ConfigurationError } from '../errors.ts';

/** `running.json` in the data folder of an `npm start`: what a command needs to reach its storage and Dataverse. */
interface RunningApp {
  pid: number;
  settings: Record<string, string>;
}

/**
 * The settings of an `npm start` that is running on this machine.
 * @param root the folder of the app; the data folders are in its `.data`, unless `dataFolder` names another
 * @returns undefined if none runs
 * @throws ConfigurationError if `dataFolder` is not that of a running one, or if several run
 */
export function runningSettings(
  root: string,
  dataFolder: string | undefined,
): Record<string, string> | undefined {
  if (dataFolder !== undefined) {
    const app = read(dataFolder);
    if (app !== undefined) return app.settings;
    throw new ConfigurationError(`No npm start is running with the data folder ${dataFolder}.`, {
      object: dataFolder,
      hint: 'Start it, or name the folder that it prints as the place of the database.',
    });
  }
  const folder = join(root, '.data');
  const running = foldersIn(folder).flatMap((name) => {
    const app = readIfOwn(join(folder, name));
    return app === undefined ? [] : [{ path: join(folder, name), app }];
  });
  if (running.length <= 1) return running[0]?.app.settings;
  const paths = running.map(({ path }) => relative(root, path)).join(', ');
  throw new ConfigurationError(`Several npm start are running: ${paths}.`, {
    object: folder,
    hint: 'Choose one with --data.',
  });
}

function foldersIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** A folder of another user is not meant. */
function readIfOwn(dataFolder: string): RunningApp | undefined {
  try {
    return read(dataFolder);
  } catch (error) {
    if (error instanceof ConfigurationError) return undefined;
    throw error;
  }
}

/** @throws ConfigurationError if it belongs to another user */
function read(dataFolder: string): RunningApp | undefined {
  try {
    const app = JSON.parse(readFileSync(join(dataFolder, 'running.json'), 'utf8')) as RunningApp;
    // Signal 0 only asks whether the process exists. A killed one leaves its file behind.
    process.kill(app.pid, 0);
    return app;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['ENOENT', 'ENOTDIR', 'ESRCH'].includes(code)) return undefined;
    if (code !== 'EACCES' && code !== 'EPERM') throw error;
    throw new ConfigurationError(`The data folder ${dataFolder} belongs to another user.`, {
      object: dataFolder,
      hint: 'Run the command as the user who ran npm start.',
      cause: error,
    });
  }
}

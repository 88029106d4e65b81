import { createWriteStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { checkDataverse } from './check-dataverse.ts';
import { openDataFolder } from './data-folder/data-folder.ts';
import { readLocalState, writeLocalState } from './data-folder/local-state.ts';
import { startSampleDataverseThread } from './emulators/sample-dataverse-thread.ts';
import { startStorageEmulator } from './emulators/storage-emulator.ts';
import type { FunctionsHost, LogEntry } from './functions-host/host.ts';
import { localSettings } from './local-settings.ts';
import { type LocalSource, sourceOf } from './local-source.ts';
import { firstTables, tablesOf } from './sample-tables.ts';
import { DEFAULT_PORT, type StartOptions } from './start-options.ts';

/** All that `npm start` runs: the storage, a Dataverse, and the app. */
export interface LocalEnvironment {
  host: FunctionsHost;
  source: LocalSource;
  dataverseUrl: string;
  connectionString: string;
  settings: Record<string, string>;
  dataFolder: string;
  /** Everything that the app and the host log. */
  logFile: string;
  /** The tables that were chosen because nobody named them. */
  chosenTables?: string[];
}

/**
 * Starts everything; `parts` takes what has to be stopped, in the order of its start.
 *
 * @throws ConfigurationError with what the user can do about it.
 */
export async function startLocalEnvironment(
  appRoot: string,
  options: StartOptions,
  parts: AsyncDisposableStack,
  log: (entry: LogEntry) => void,
): Promise<LocalEnvironment> {
  const isSample = options.dataverse === undefined;
  const metadata = options.metadata === undefined ? undefined : resolve(options.metadata);
  if (!isSample) await checkDataverse(options.dataverse!, process.env['DATAVERSE_ACCESS_TOKEN'] || undefined);
  const named = options.entities === undefined ? undefined : resolve(options.entities);
  const chosen = metadata !== undefined && named === undefined ? await firstTables(metadata) : undefined;
  const tables = metadata === undefined ? undefined : (chosen ?? (await tablesOf(named!)));

  const source = sourceOf(options, tables);
  const data = await openDataFolder(resolve(options.data ?? join(appRoot, '.data', source.folderName)));
  parts.defer(() => data.release());
  const state = await readLocalState(data.path, source);

  const startSample = async () => {
    const { rows } = options;
    const { since, samplePort } = state;
    const sample = await startSampleDataverseThread({
      rows,
      since,
      ...(metadata !== undefined && { metadata }),
      ...(tables !== undefined && { tables }),
      ...(samplePort !== undefined && { port: samplePort }),
    });
    parts.defer(() => sample.stop());
    state.samplePort = Number(new URL(sample.report.url).port);
    return sample.report.url;
  };
  const startStorage = async () => {
    const emulator = await startStorageEmulator({ folder: data.path });
    parts.defer(() => emulator.stop());
    return emulator.connectionString;
  };
  const [dataverseUrl, connectionString, { startFunctionsHost }] = await Promise.all([
    isSample ? startSample() : options.dataverse!,
    startStorage(),
    // The threads start meanwhile.
    import('./functions-host/host.ts'),
  ]);
  await writeLocalState(data.path, state);

  let entitiesFile = named ?? join(appRoot, 'entities.json');
  if (chosen !== undefined) {
    entitiesFile = join(data.path, 'entities.json');
    await writeFile(entitiesFile, `${JSON.stringify(chosen, null, 2)}\n`);
  }
  const { once } = options;
  const settings = await localSettings({
    appRoot,
    dataverseUrl,
    isSample,
    connectionString,
    entitiesFile,
    once,
  });
  const logFile = join(data.path, 'functions.log');
  const file = createWriteStream(logFile);
  parts.defer(() => new Promise<void>((done) => file.end(done)));
  const host = await startFunctionsHost({
    appRoot,
    settings,
    connectionString,
    functionKey: state.functionKey,
    port: options.port ?? (once ? 0 : DEFAULT_PORT),
    log: (entry) => {
      file.write(`${new Date().toISOString()} ${entry.level} ${entry.category} ${entry.message}\n`);
      log(entry);
    },
  });
  parts.defer(() => host.stop());
  return {
    host,
    source,
    dataverseUrl,
    connectionString,
    settings,
    dataFolder: data.path,
    logFile,
    ...(chosen !== undefined && { chosenTables: chosen }),
  };
}

import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { crc32 } from 'node:zlib';
import { checkDataverse } from './check-dataverse.ts';
import { openDataFolder } from './data-folder/data-folder.ts';
import { readLocalState, writeLocalState } from './data-folder/local-state.ts';
import { privateFile, replaceText } from './data-folder/private-file.ts';
import type { LocalPostgres } from './emulators/local-postgres.ts';
import { startSampleDataverseThread } from './emulators/sample-dataverse-thread.ts';
import { startStorageEmulator } from './emulators/storage-emulator.ts';
import type { FunctionsHost, LogEntry } from './functions-host/host.ts';
import { localSettings } from './local-settings.ts';
import { type LocalSource, sourceOf } from './local-source.ts';
import { firstTables, tablesOf } from './sample-tables.ts';
import { DEFAULT_PORT, type StartOptions } from './start-options.ts';

/** All parts of `npm start`: the storage, a Dataverse, and the app. */
export interface LocalEnvironment {
  host: FunctionsHost;
  source: LocalSource;
  dataverseUrl: string;
  /** Further environments, with the address of the Dataverse of each. */
  others: readonly { name: string; dataverseUrl: string }[];
  connectionString: string;
  settings: Record<string, string>;
  dataFolder: string;
  /** The log of the app and the host. */
  logFile: string;
  /** The server of `--target postgres`. */
  postgres?: LocalPostgres | undefined;
  /** What the user should know about the data folder. */
  warnings: string[];
  /** The tables of a `--metadata` document that are synced without `--entities`. */
  defaultTables?: string[];
}

/** Empties a data folder that no other process uses. */
async function removeUnlessInUse(folder: string): Promise<void> {
  const held = await openDataFolder(folder);
  held.release();
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
}

/**
 * Starts all parts. Each part registers with `parts` how to stop it, in the order of the starts.
 *
 * @throws ConfigurationError with a hint for the user
 */
export async function startLocalEnvironment(
  appRoot: string,
  options: StartOptions,
  parts: AsyncDisposableStack,
  log: (entry: LogEntry) => void,
): Promise<LocalEnvironment> {
  const { dataverse, rows, once, live = false, environments = [] } = options;
  const metadata = options.metadata === undefined ? undefined : resolve(options.metadata);
  if (dataverse !== undefined) {
    await checkDataverse(dataverse, process.env['DATAVERSE_ACCESS_TOKEN'] || undefined);
  }
  let entitiesFile = resolve(options.entities ?? join(appRoot, 'entities.json'));
  const defaultTables =
    metadata !== undefined && options.entities === undefined ? await firstTables(metadata) : undefined;
  const tables = metadata === undefined ? undefined : (defaultTables ?? (await tablesOf(entitiesFile)));

  const source = sourceOf(options, tables);
  const folder = resolve(options.data ?? join(appRoot, '.data', source.folderName));
  if (source.isNew && options.data === undefined) await removeUnlessInUse(folder);
  const data = await openDataFolder(folder);
  parts.defer(() => data.release());
  const state = await readLocalState(data.path, source);

  const startSample = async () => {
    const { since, samplePort: port } = state;
    const sample = await startSampleDataverseThread({ rows, since, metadata, tables, port, live });
    parts.defer(() => sample.stop());
    state.samplePort = Number(new URL(sample.report.url).port);
    return sample.report.url;
  };
  const ports = new Map(Object.entries(state.environmentPorts ?? {}));
  const startOthers = () =>
    Promise.all(
      environments.map(async (name) => {
        // Another seed, other rows: the same ones at each start, whatever the other names are.
        const others = { rows, since: state.since, live, seed: crc32(name), port: ports.get(name) };
        const sample = await startSampleDataverseThread(others);
        parts.defer(() => sample.stop());
        ports.set(name, Number(new URL(sample.report.url).port));
        return { name, dataverseUrl: sample.report.url };
      }),
    );
  const startStorage = async () => {
    const emulator = await startStorageEmulator({ folder: data.path, accountKey: state.storageKey });
    parts.defer(() => emulator.stop());
    return emulator;
  };
  const startDatabase = async () => {
    if (options.target !== 'postgres') return undefined;
    const { newPostgresState, startLocalPostgres } = await import('./emulators/local-postgres.ts');
    // First: a start that is killed would leave a server whose passwords nobody knows.
    if (state.postgres === undefined) {
      state.postgres = await newPostgresState(data.path);
      await writeLocalState(data.path, state);
    }
    const server = await startLocalPostgres(state.postgres, { isTemporary: source.isNew, environments });
    parts.defer(() => server.stop());
    return server;
  };
  const [dataverseUrl, others, { connectionString, onQueueMessage }, { startFunctionsHost }, postgres] =
    await Promise.all([
      dataverse ?? startSample(),
      startOthers(),
      startStorage(),
      // Load the host while the threads start.
      import('./functions-host/host.ts'),
      startDatabase(),
    ]);
  if (others.length > 0) state.environmentPorts = Object.fromEntries(ports);
  await writeLocalState(data.path, state);

  if (defaultTables !== undefined) {
    entitiesFile = join(data.path, 'entities.json');
    await replaceText(entitiesFile, `${JSON.stringify(defaultTables, null, 2)}\n`);
  }
  const environmentsFile = join(data.path, 'environments.json');
  if (others.length > 0) await replaceText(environmentsFile, environmentsOf(others));
  const settings = await localSettings({
    appRoot,
    dataverseUrl,
    isSample: dataverse === undefined,
    connectionString,
    entitiesFile,
    environmentsFile: others.length > 0 ? environmentsFile : '',
    environments,
    once,
    live,
    target: postgres?.settings ?? { SYNC_TARGET: 'sqlite' },
  });
  const logFile = join(data.path, 'functions.log');
  await rm(logFile, { force: true });
  const file = createWriteStream(logFile, { flags: 'wx', mode: privateFile });
  parts.defer(() => new Promise<void>((done) => file.end(done)));
  const running = join(data.path, 'running.json');
  await replaceText(
    running,
    JSON.stringify({ pid: process.pid, settings: forCommands(settings, dataverse) }),
  );
  parts.defer(() => rm(running, { force: true }));
  const host = await startFunctionsHost({
    appRoot,
    settings,
    connectionString,
    functionKey: state.functionKey,
    onQueueMessage,
    port: options.port ?? (once ? 0 : DEFAULT_PORT),
    log: (entry) => {
      file.write(`${new Date().toISOString()} ${entry.level} ${entry.category} ${entry.message}\n`);
      log(entry);
    },
  });
  parts.defer(() => host.stop());
  const dataFolder = data.path;
  return {
    ...{ host, source, dataverseUrl, others, connectionString, settings, dataFolder, logFile },
    ...{ warnings: data.warnings, defaultTables, postgres },
  };
}

function environmentsOf(others: LocalEnvironment['others']): string {
  const entries = others.map(({ name, dataverseUrl }) => [
    name,
    // The sample Dataverse accepts any token.
    { DATAVERSE_URL: dataverseUrl, DATAVERSE_ACCESS_TOKEN: '%DATAVERSE_ACCESS_TOKEN%' },
  ]);
  return `${JSON.stringify({ environments: Object.fromEntries(entries) }, null, 2)}\n`;
}

/** What `npm run provision`, `role` and `metrics:replay` need. A token for a real environment is not written to a file. */
function forCommands(
  settings: Record<string, string>,
  dataverse: string | undefined,
): Record<string, string> {
  const names = [
    'AzureWebJobsStorage',
    'DATAVERSE_URL',
    'SYNC_WORK_CONTAINER',
    'SYNC_QUEUE_PREFIX',
    'SYNC_ENTITIES_FILE',
    'SYNC_ENVIRONMENTS_FILE',
    'SYNC_TARGET',
    'POSTGRES_URL',
    'POSTGRES_SCHEMA',
  ];
  if (dataverse === undefined) names.push('DATAVERSE_ACCESS_TOKEN');
  return Object.fromEntries(Object.entries(settings).filter(([name]) => names.includes(name)));
}

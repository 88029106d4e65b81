import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import Module, { createRequire, enableCompileCache } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Ports, StorageEmulatorOptions } from './storage-emulator.ts';
import { runInWorkerThread } from './worker-thread.ts';

/*
 * Azurite keeps its metadata in memory and writes it every five seconds, so a killed process would lose
 * writes that were acknowledged. Here a request that changes something is answered only when the metadata
 * are in their file. Blocks that are not committed yet need no such care: their commit waits for them too.
 */

/** The parts of Azurite's server classes that are used here; the package has no type declarations. */
interface AzuriteServer {
  start(): Promise<void>;
  close(): Promise<void>;
  httpServer: Server;
  metadataStore: { db: Loki };
  extentMetadataStore: { db: Loki };
}

interface Loki {
  autosaveDirty(): boolean;
  autosaveDisable(): void;
  saveDatabase(callback: (error?: Error | null) => void): void;
}

type ServerClass = new (configuration: unknown) => AzuriteServer;
type ConfigurationClass = new (...args: unknown[]) => unknown;

enableCompileCache();
const require = createRequire(import.meta.url);
leaveOutTelemetry();

/**
 * Azurite's usage telemetry never starts here, yet its library would be loaded: 2,900 modules, half of the time
 * that a start takes, and 100 MB. It is only kept in a field, so an empty object does in its place.
 */
function leaveOutTelemetry(): void {
  const telemetry = createRequire(require.resolve('azurite/dist/src/common/Telemetry.js'));
  const file = telemetry.resolve('applicationinsights');
  telemetry.cache[file] = Object.assign(new Module(file), { exports: {}, loaded: true });
}

const azurite = (path: string) => (require(`azurite/dist/src/${path}`) as { default: unknown }).default;

function createServer(service: 'Blob' | 'Queue', port: number, folder: string): AzuriteServer {
  const kind = service.toLowerCase();
  const Configuration = azurite(`${kind}/${service}Configuration.js`) as ConfigurationClass;
  const AzuriteServer = azurite(`${kind}/${service}Server.js`) as ServerClass;
  const extents = [
    { locationId: 'Default', locationPath: join(folder, `__${kind}storage__`), maxConcurrency: 10 },
  ];
  // In the order of the constructor: host, port, keep-alive seconds, files, access log and its stream,
  // debug log and its file, loose, skipApiVersionCheck.
  const configuration = new Configuration(
    '127.0.0.1',
    port,
    60,
    join(folder, `__azurite_db_${kind}__.json`),
    join(folder, `__azurite_db_${kind}_extent__.json`),
    extents,
    ...[false, undefined, false, undefined, true, true],
  );
  return new AzuriteServer(configuration);
}

const saving = new WeakMap<Loki, Promise<void>>();

/**
 * Resolves when the file holds what the database holds now. Saves that are asked for while one runs are done
 * together after it (Loki's "throttled saves"). Where nothing changed, the save that took it may still run.
 */
function save(db: Loki): Promise<void> {
  if (db.autosaveDirty()) {
    const saved = new Promise<void>((resolve, reject) => {
      db.saveDatabase((error) => (error ? reject(error) : resolve()));
    });
    saved.catch(() => undefined);
    saving.set(db, saved);
  }
  return saving.get(db) ?? Promise.resolve();
}

/** Saves every second what no answer waited for, such as the visibility of received messages. */
function saveRegularly(db: Loki): void {
  db.autosaveDisable();
  setInterval(() => void save(db), 1000);
}

function changesSomething(req: IncomingMessage): boolean {
  return req.method !== 'GET' && req.method !== 'HEAD' && !/[?&]comp=block(&|$)/.test(req.url ?? '');
}

/** Holds the end of each answer back until what the request changed is in the files. */
function answerWhenSaved(server: AzuriteServer): void {
  const listeners = server.httpServer.listeners('request') as RequestListener[];
  server.httpServer.removeAllListeners('request');
  server.httpServer.on('request', (req: IncomingMessage, res: ServerResponse) => {
    if (changesSomething(req)) {
      const end = res.end;
      res.end = ((...args: Parameters<typeof end>) => {
        res.end = end;
        // The extents come first: the metadata point at them.
        save(server.extentMetadataStore.db)
          .then(() => save(server.metadataStore.db))
          .then(
            () => res.end(...args),
            (error: Error) => res.destroy(error),
          );
        return res;
      }) as typeof end;
    }
    for (const listener of listeners) listener.call(server.httpServer, req, res);
  });
}

async function start(options: StorageEmulatorOptions): Promise<{ report: Ports; stop(): Promise<unknown> }> {
  const servers = [
    createServer('Blob', options.blobPort ?? 0, options.folder),
    createServer('Queue', options.queuePort ?? 0, options.folder),
  ];
  for (const server of servers) {
    await server.start();
    saveRegularly(server.extentMetadataStore.db);
    saveRegularly(server.metadataStore.db);
    answerWhenSaved(server);
  }
  const [blobPort, queuePort] = servers.map((server) => (server.httpServer.address() as AddressInfo).port);
  return {
    report: { blobPort: blobPort!, queuePort: queuePort! },
    stop: () => Promise.all(servers.map((server) => server.close())),
  };
}

await runInWorkerThread(start);

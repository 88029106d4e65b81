import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { createRequire, enableCompileCache } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { isForeign, sendForeign } from '../foreign-requests.ts';
import { skipTelemetry } from './skip-telemetry.ts';
import {
  emulatorAccount,
  type StorageEmulatorOptions,
  type StorageEmulatorPorts,
} from './storage-emulator.ts';
import { runInWorkerThread } from './worker-thread.ts';

/*
 * Azurite keeps its metadata in memory and saves it to a file every five seconds, so a killed process would lose
 * acknowledged writes. This worker answers a request that changes something only after the metadata is saved.
 * An uncommitted block is the exception: its commit saves it.
 */

/** The parts of Azurite's server classes that this file uses. The package has no type declarations. */
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
skipTelemetry(require);

const azurite = (path: string) => (require(`azurite/dist/src/${path}`) as { default: unknown }).default;

function createServer(service: 'Blob' | 'Queue', port: number, folder: string): AzuriteServer {
  const kind = service.toLowerCase();
  const Configuration = azurite(`${kind}/${service}Configuration.js`) as ConfigurationClass;
  const AzuriteServer = azurite(`${kind}/${service}Server.js`) as ServerClass;
  const extents = [
    { locationId: 'Default', locationPath: join(folder, `__${kind}storage__`), maxConcurrency: 10 },
  ];
  // The constructor's parameters: host, port, keep-alive seconds, files, access log and its stream,
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
 * Resolves when the file has the database's current content. Loki joins the saves that are requested during a save
 * into one that follows it ("throttled saves"). If nothing changed, the last save may still be running.
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

/** Saves every second the changes that no response waits for, such as the visibility of received messages. */
function saveRegularly(db: Loki): void {
  db.autosaveDisable();
  setInterval(() => void save(db), 1000);
}

function changesSomething(req: IncomingMessage): boolean {
  return req.method !== 'GET' && req.method !== 'HEAD' && !/[?&]comp=block(&|$)/.test(req.url ?? '');
}

/** The queue in which the request makes a message visible, and after how many seconds: a new message, or a released one. */
function messageOf({ method, url = '' }: IncomingMessage): { queue: string; seconds: number } | undefined {
  const [path, query] = url.split('?');
  const pattern = method === 'POST' ? /^\/[^/]+\/([^/]+)\/messages$/ : /^\/[^/]+\/([^/]+)\/messages\/[^/]+$/;
  const queue = method === 'POST' || method === 'PUT' ? pattern.exec(path!)?.[1] : undefined;
  if (queue === undefined) return undefined;
  return { queue, seconds: Number(new URLSearchParams(query).get('visibilitytimeout')) };
}

/**
 * Delays the end of each response until the request's changes are saved.
 * @param onMessage with the queue of a message that a listener can receive now
 */
function respondWhenSaved(server: AzuriteServer, onMessage: (queue: string) => void): void {
  const listeners = server.httpServer.listeners('request') as RequestListener[];
  server.httpServer.removeAllListeners('request');
  server.httpServer.on('request', (req: IncomingMessage, res: ServerResponse) => {
    if (isForeign(req)) return sendForeign(res);
    if (changesSomething(req)) {
      const end = res.end;
      const message = messageOf(req);
      res.end = ((...args: Parameters<typeof end>) => {
        res.end = end;
        // Save the extents first: the metadata refers to them.
        save(server.extentMetadataStore.db)
          .then(() => save(server.metadataStore.db))
          .then(
            () => {
              res.end(...args);
              if (message === undefined || res.statusCode >= 300) return;
              const { queue, seconds } = message;
              if (seconds === 0) onMessage(queue);
              // A timer can be early by a millisecond.
              else setTimeout(onMessage, seconds * 1000 + 10, queue).unref();
            },
            (error: Error) => res.destroy(error),
          );
        return res;
      }) as typeof end;
    }
    for (const listener of listeners) listener.call(server.httpServer, req, res);
  });
}

async function start(
  options: StorageEmulatorOptions,
  notify: (queue: string) => void,
): Promise<{ report: StorageEmulatorPorts; stop(): Promise<unknown> }> {
  // Azurite reads its accounts from the environment when a server is created. A thread has an environment of its own.
  if (options.accountKey !== undefined) {
    process.env['AZURITE_ACCOUNTS'] = `${emulatorAccount}:${options.accountKey}`;
  }
  const servers = [
    createServer('Blob', options.blobPort ?? 0, options.folder),
    createServer('Queue', options.queuePort ?? 0, options.folder),
  ];
  for (const server of servers) {
    await server.start();
    saveRegularly(server.extentMetadataStore.db);
    saveRegularly(server.metadataStore.db);
    respondWhenSaved(server, notify);
  }
  const [blobPort, queuePort] = servers.map((server) => (server.httpServer.address() as AddressInfo).port);
  return {
    report: { blobPort: blobPort!, queuePort: queuePort! },
    stop: () => Promise.all(servers.map((server) => server.close())),
  };
}

await runInWorkerThread(start);

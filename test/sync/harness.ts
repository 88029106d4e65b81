import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { TableConfig } from '../../src/config/entities.ts';
import { parseEntities } from '../../src/config/entities.ts';
import { postgresAddress } from '../../src/config/postgres/postgres-address.ts';
import { readSettings } from '../../src/config/settings.ts';
import { SyncError } from '../../src/errors.ts';
import { OpenMirrors } from '../../src/mirror/open-mirrors.ts';
import { SqliteContents } from '../../src/mirror/sqlite-contents.ts';
import { SqliteReads } from '../../src/mirror/sqlite-reads.ts';
import { openSyncStorage } from '../../src/services.ts';
import type { LandingZone } from '../../src/storage/fabric/landing-zone.ts';
import { ShardCache } from '../../src/storage/shard-cache.ts';
import { failPoisonedCheck, runCheck } from '../../src/sync/check/run-check.ts';
import { DocumentReader } from '../../src/sync/documents/document-reader.ts';
import type {
  CheckMessage,
  ExportMessage,
  FetchMessage,
  MergeMessage,
  PlanMessage,
} from '../../src/sync/documents/messages.ts';
import { ProgressTracker } from '../../src/sync/documents/progress-tracker.ts';
import type { SyncServices } from '../../src/sync/documents/services.ts';
import type { ExportLimits } from '../../src/sync/export/export-table.ts';
import { exportTables, failPoisonedExport } from '../../src/sync/export/export-tables.ts';
import { failPoisonedTable } from '../../src/sync/fetch/fail-table.ts';
import { fetchSlice } from '../../src/sync/fetch/fetch-slice.ts';
import { mergeRound } from '../../src/sync/merge/merge-round.ts';
import { failPoisonedRun } from '../../src/sync/run/fail-run.ts';
import { failPoisonedPlan, planRun } from '../../src/sync/run/plan-run.ts';
import { type RunStatus, runStatus } from '../../src/sync/run/run-status.ts';
import { type StartOptions, type StartResult, startRun } from '../../src/sync/run/start-run.ts';
import { createSyncServices, type SyncStorage } from '../../src/sync-services.ts';
import type { MirrorReads } from '../../src/target/mirror-reads.ts';
import type { ReceivedMirror } from '../../src/target/mirror-target.ts';
import { Connections } from '../../src/target/postgres/connection/connections.ts';
import { PostgresMirror } from '../../src/target/postgres/postgres-mirror.ts';
import { PostgresReads } from '../../src/target/postgres/postgres-reads.ts';
import { SqliteMirror } from '../../src/target/sqlite/sqlite-mirror.ts';
import type { LogLevel, Properties, Telemetry } from '../../src/telemetry/telemetry.ts';
import { createCluster } from '../citus.ts';
import { startPostgres } from '../postgres.ts';
import { exportPostgres } from '../postgres-export.ts';
import { loadFile } from '../storage/whole-file.ts';
import { memoryStorage } from './memory-storage.ts';

type Message = { tries: number; visibleAt: number } & (
  | { queue: 'plan'; body: PlanMessage }
  | { queue: 'fetch'; body: FetchMessage }
  | { queue: 'merge'; body: MergeMessage }
  | { queue: 'check'; body: CheckMessage }
  | { queue: 'export'; body: ExportMessage }
);

export interface HarnessOptions {
  /** Of a storage emulator; without it the storage is in memory. */
  connectionString?: string;
  dataverseUrl: string;
  entities: unknown[];
  settings?: Record<string, string>;
  /** Tables with more rows are large, where the database is not in memory as a whole. */
  scanRows?: number | undefined;
  /** A connection string: the mirror is in the schema `mirror` of this PostgreSQL database. */
  postgres?: string | undefined;
  /** On a cluster, tables with as many rows are distributed, and the others have copies on every node. */
  distributeRows?: number | undefined;
  /** Where changed tables are written. */
  lake?: LandingZone | undefined;
  /** Picks the next message to deliver. @default the first one */
  pick?: (waiting: number) => number;
}

const maxDequeueCount = 5;
/** The schema of a mirror in PostgreSQL. */
const mirrorSchema = 'mirror';
const silent: Telemetry = { log: () => undefined, event: () => undefined, metric: () => undefined };

/**
 * `MIRROR_TARGET=postgres npx vitest run test/sync`: every mirror is in PostgreSQL. `MIRROR_TARGET=cluster`: in a database of
 * a cluster, where few rows are many.
 */
async function chosenTarget(): Promise<Pick<HarnessOptions, 'postgres' | 'distributeRows'>> {
  const target = process.env['MIRROR_TARGET'];
  if (target === 'postgres') return { postgres: await (await startPostgres()).createDatabase() };
  if (target === 'cluster') return { postgres: await createCluster(), distributeRows: 5 };
  return {};
}

/** The same object for the same name, so that a test can make its methods fail. */
function oncePerName<T>(make: (name: string) => T): (name: string) => T {
  const made = new Map<string, T>();
  return (name) => {
    const one = made.get(name) ?? make(name);
    made.set(name, one);
    return one;
  };
}

/**
 * The sync with a sample Dataverse, storage of its own, and a queue in memory that delivers at least once, in any order,
 * and no message before its visibility delay has passed. After five tries a message is poison.
 */
export class Harness {
  readonly services: SyncServices;
  readonly storage: SyncStorage;
  readonly log: { level: LogLevel; message: string; properties?: Properties }[] = [];
  readonly #waiting: Message[] = [];
  /** A fraction of the delay with which merges and plans are requested, for tests that do not wait a minute. */
  mergeDelay = 1;
  /** A fraction of the delay after which an export is tried again. */
  exportDelay = 1;
  /** How large the parts of an export are. */
  exportLimits: Partial<ExportLimits> = {};
  /** A fraction of the delay after which a slice continues. */
  fetchDelay = 1;
  /** Whether PostgreSQL gets the n-th shard ahead of the merge. Every second one, so that merges meet both. */
  stages: (n: number) => boolean = (n) => n % 2 === 1;
  #staged = 0;
  readonly #pick: (waiting: number) => number;
  readonly #scanRows: number | undefined;
  readonly #distributeRows: number | undefined;
  #postgres: string | undefined;
  #mirror: SqliteMirror | PostgresMirror | undefined;
  /** Called after the queue had no visible message for so many milliseconds, so that a test's own clock can follow. */
  onWait: (milliseconds: number) => void = () => undefined;
  /** Called when a handler has failed, before its message is queued again or poison: a test can replace a dead process. */
  onFailure: () => void = () => undefined;
  entities: TableConfig[];

  private constructor(services: SyncServices, storage: SyncStorage, options: HarnessOptions) {
    this.storage = storage;
    this.#pick = options.pick ?? (() => 0);
    this.#scanRows = options.scanRows;
    this.#distributeRows = options.distributeRows;
    this.#postgres = options.postgres;
    this.entities = parseEntities(options.entities);
    this.services = {
      ...services,
      readEntities: () => this.entities,
      sendPlan: async (body, delaySeconds = 0) =>
        void this.#waiting.push({
          queue: 'plan',
          body,
          tries: 0,
          visibleAt: performance.now() + delaySeconds * 1000 * this.mergeDelay,
        }),
      sendFetch: async (body, delaySeconds = 0) =>
        void this.#waiting.push({
          queue: 'fetch',
          body,
          tries: 0,
          visibleAt: performance.now() + delaySeconds * 1000 * this.fetchDelay,
        }),
      sendMerge: async (body, delaySeconds = 0) =>
        void this.#waiting.push({
          queue: 'merge',
          body,
          tries: 0,
          visibleAt: performance.now() + delaySeconds * 1000 * this.mergeDelay,
        }),
      sendCheck: async (body) => void this.#waiting.push({ queue: 'check', body, tries: 0, visibleAt: 0 }),
      sendExport: async (body, delaySeconds = 0) =>
        void this.#waiting.push({
          queue: 'export',
          body,
          tries: 0,
          visibleAt: performance.now() + delaySeconds * 1000 * this.exportDelay,
        }),
      // The tests share one storage account, and each app of theirs has a queue in memory.
      claimQueues: async () => undefined,
      telemetry: {
        log: (level, message, properties) => void this.log.push({ level, message, properties }),
        event: () => undefined,
        metric: () => undefined,
      },
    };
  }

  static async create(options: HarnessOptions): Promise<Harness> {
    const suffix = randomBytes(5).toString('hex');
    const settings = readSettings({
      DATAVERSE_URL: options.dataverseUrl,
      DATAVERSE_ACCESS_TOKEN: 'test',
      AzureWebJobsStorage: options.connectionString ?? 'UseDevelopmentStorage=true',
      // The mirror of most tests must equal the truth after each run.
      SYNC_RECONCILE_EVERY: '1',
      SYNC_WORK_CONTAINER: `work-${suffix}`,
      SYNC_DATABASE_CONTAINER: `database-${suffix}`,
      // `SYNC_CACHE_MB=0.001 npx vitest run test/sync`: every database is in memory in parts only.
      ...(process.env['SYNC_CACHE_MB'] && { SYNC_CACHE_MB: process.env['SYNC_CACHE_MB'] }),
      ...options.settings,
    });
    const real = openSyncStorage(settings);
    const chosen = options.connectionString === undefined ? { ...real, ...memoryStorage() } : real;
    const storage = { ...chosen, lake: options.lake ?? real.lake, namedFile: oncePerName(chosen.namedFile) };
    const own = options.postgres === undefined ? await chosenTarget() : {};
    const harness = new Harness(await createSyncServices(settings, storage, silent), storage, {
      ...options,
      ...own,
    });
    harness.restarted();
    return harness;
  }

  /** Whether versions of rows have texts where a column has had several types: PostgreSQL has one type for a column. */
  get haveTexts(): boolean {
    return this.#postgres !== undefined;
  }

  /** Replaces entities.json, from the next run on. */
  configure(entities: unknown[]): void {
    this.entities = parseEntities(entities);
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Restarts the process: it loses its memory, and the messages stay in the queue. */
  restarted(): void {
    const { work } = this.services;
    // Its memory goes with the process, its thread, and its connections.
    void this.#mirror?.close();
    this.#mirror = this.#postgres === undefined ? this.#openSqlite() : this.#openPostgres(this.#postgres);
    Object.assign(this.services, {
      documents: new DocumentReader(work),
      mirror: this.#mirror,
      shards: new ShardCache(),
      progress: new ProgressTracker(),
    });
  }

  #openPostgres(address: string): PostgresMirror {
    const connection = { ...postgresAddress(address), schema: mirrorSchema };
    const distributeRows = this.#distributeRows;
    const options = { sqlite: this.services.sqlite, connection, distributeRows, stagedBytes: 0 };
    const mirror = new PostgresMirror(
      this.#scanRows === undefined ? options : { ...options, scanRows: this.#scanRows },
    );
    const stage = mirror.stageShard.bind(mirror);
    mirror.stageShard = async (shard) => {
      this.#staged += 1;
      if (this.stages(this.#staged)) await stage(shard);
    };
    return mirror;
  }

  /**
   * Moves the mirror into a database of PostgreSQL; from there to new files. The next run is of a new process.
   * @param postgres its connection string; undefined for files
   */
  async move(postgres: string | undefined): Promise<ReceivedMirror> {
    const configs = new Map(this.entities.map((one) => [one.name, one]));
    const from = this.#mirror!;
    let moved: ReceivedMirror;
    if (postgres === undefined) {
      Object.assign(this.storage, { ...memoryStorage(), work: this.storage.work });
      this.storage.namedFile = oncePerName(this.storage.namedFile);
      const files = this.#openSqlite();
      moved = await (from as PostgresMirror).withContents((contents) => files.receive(contents, configs));
      await files.close();
    } else {
      const { state } = await from.loadState();
      const contents = await SqliteContents.open(state, 'dataverse', (name) =>
        name === undefined ? this.storage.databaseFile : this.storage.namedFile(name),
      );
      const server = this.#openPostgres(postgres);
      moved = await server.receive(contents);
      await contents.close();
      await server.close();
    }
    this.#postgres = postgres;
    this.restarted();
    return moved;
  }

  /** What pages read from the mirror. */
  pageReads(): MirrorReads {
    const files = () => this.storage.databaseFile;
    if (this.#postgres === undefined) return new SqliteReads(new OpenMirrors(files));
    return new PostgresReads(new Connections({ ...postgresAddress(this.#postgres), schema: mirrorSchema }));
  }

  #openSqlite(): SqliteMirror {
    const { published, sqlite, settings, telemetry } = this.services;
    return new SqliteMirror({
      sqlite,
      file: this.storage.databaseFile,
      named: { defaultName: 'dataverse', fileOf: this.storage.namedFile },
      documents: published,
      maxBytes: settings.sync.databaseMaxBytes,
      cacheBytes: settings.sync.cacheBytes,
      checkHours: settings.sync.checkHours,
      scanRows: this.#scanRows,
      telemetry,
    });
  }

  /** Starts a run and plans it. `error`: why it could not be planned, and is over. */
  async start(options: Partial<StartOptions> = {}): Promise<StartResult & { error?: Error }> {
    const started = await this.startUnplanned(options);
    for (let at = this.#planAt(); at >= 0; at = this.#planAt()) await this.#deliverAt(at);
    const { phase, error, hint } = (await this.services.documents.run(started.runId)) ?? {};
    if (started.outcome !== 'started' || phase !== 'failed') return started;
    return { ...started, error: new SyncError(error!, { hint }) };
  }

  /** Starts a run. Its plan waits in the queue. */
  startUnplanned(options: Partial<StartOptions> = {}): Promise<StartResult> {
    return startRun(this.services, { trigger: 'http', ...options });
  }

  #planAt(): number {
    const now = performance.now();
    return this.#waiting.findIndex(({ queue, visibleAt }) => queue === 'plan' && visibleAt <= now);
  }

  /** Delivers one message. @returns the handler's error; the message is then queued again or poison */
  async deliver(): Promise<unknown> {
    if (this.#waiting.length === 0) return undefined;
    await this.#untilVisible();
    const visible = this.#waiting.filter(({ visibleAt }) => visibleAt <= performance.now());
    const message = visible[this.#pick(visible.length)];
    return message && this.#deliverAt(this.#waiting.indexOf(message));
  }

  async #deliverAt(at: number): Promise<unknown> {
    const [message] = this.#waiting.splice(at, 1);
    if (message === undefined) return undefined;
    message.tries += 1;
    try {
      await this.#handle(message);
      return undefined;
    } catch (error) {
      this.onFailure();
      if (message.tries < maxDequeueCount) this.#waiting.push(message);
      else if (message.queue === 'plan') await failPoisonedPlan(this.services, message.body);
      else if (message.queue === 'fetch') await failPoisonedTable(this.services, message.body);
      else if (message.queue === 'export') await failPoisonedExport(this.services, message.body);
      else if (message.queue === 'check') await failPoisonedCheck(this.services, message.body);
      else await failPoisonedRun(this.services, message.body);
      return error;
    }
  }

  #handle({ queue, body, tries }: Message): Promise<void> {
    const options = { redelivered: tries > 1 };
    if (queue === 'plan') return planRun(this.services, body);
    if (queue === 'check') return runCheck(this.services, body);
    if (queue === 'export')
      return exportTables(this.services, body, { ...options, limits: this.exportLimits });
    return queue === 'fetch' ? fetchSlice(this.services, body, options) : mergeRound(this.services, body);
  }

  /** Waits until a message is visible. */
  async #untilVisible(): Promise<void> {
    const milliseconds = Math.min(...this.#waiting.map(({ visibleAt }) => visibleAt)) - performance.now();
    if (milliseconds <= 0) return;
    await delay(milliseconds);
    this.onWait(milliseconds);
  }

  /** Delivers messages until the queue is empty, but for requests of early merges: their run is over. */
  async drain(): Promise<void> {
    while (this.#waiting.some(({ queue, body }) => queue !== 'merge' || body.early !== true)) {
      await this.deliver();
    }
  }

  /** Runs a sync from start to end. */
  async sync(options: Partial<StartOptions> = {}): Promise<RunStatus> {
    const { runId, error } = await this.start(options);
    if (error !== undefined) throw error;
    await this.drain();
    const status = await runStatus(this.services, runId);
    if (status === undefined) throw new Error(`run ${runId} has no status`);
    return status;
  }

  /** The ETags of these databases. @param names undefined for the default one */
  async etags(...names: (string | undefined)[]): Promise<(string | undefined)[]> {
    const { databaseFile, namedFile } = this.storage;
    if (this.#postgres !== undefined) return [(await this.services.mirror.lastState())?.databaseEtag];
    return Promise.all(
      names.map((name) => (name === undefined ? databaseFile : namedFile(name)).currentEtag()),
    );
  }

  /** A database as a reader downloads it; a copy as SQLite of what a reader of PostgreSQL sees. @param name undefined for the default one */
  async databaseBytes(name?: string): Promise<Buffer> {
    if (this.#postgres !== undefined) return exportPostgres(this.#postgres, mirrorSchema);
    const { databaseFile, namedFile } = this.storage;
    const loaded = await loadFile(name === undefined ? databaseFile : namedFile(name));
    if (typeof loaded === 'string') throw new Error(`the database is ${loaded}`);
    return loaded.bytes;
  }
}

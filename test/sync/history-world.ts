import { isDeepStrictEqual } from 'node:util';
import { createDataverseClient } from '../../src/dataverse/client.ts';
import { createCredential } from '../../src/dataverse/credential.ts';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import type { Table } from '../../src/local/sample-dataverse/metadata/model.ts';
import { Random } from '../../src/local/sample-dataverse/rows/random.ts';
import { dateTimeText, isLookup } from '../../src/local/sample-dataverse/rows/values.ts';
import type {
  ExportMessage,
  FetchMessage,
  MergeMessage,
  PlanMessage,
} from '../../src/sync/documents/messages.ts';
import { readExport } from '../../src/sync/export/export-document.ts';
import { exportTables } from '../../src/sync/export/export-tables.ts';
import { fetchSlice } from '../../src/sync/fetch/fetch-slice.ts';
import { mergeRound } from '../../src/sync/merge/merge-round.ts';
import { type RunStatus, runStatus } from '../../src/sync/run/run-status.ts';
import type { StartOptions } from '../../src/sync/run/start-run.ts';
import type { State } from '../../src/target/state.ts';
import type { Fabric } from '../fabric/fabric.ts';
import type { PostgresProxy } from '../postgres-proxy.ts';
import { Harness } from './harness.ts';
import { compute, isFree, isSettable, lookupTargets, randomValue, randomValues } from './history-rows.ts';
import {
  type DataStep,
  type EntityChoice,
  type HistoryConfig,
  plainSync,
  type RandomHistory,
  type SchemaStep,
  type Step,
  type SyncStep,
} from './history-steps.ts';
import { MirrorCheck } from './mirror-check.ts';
import { addColumn, dropColumn, dropTable, restoreTable, retypeColumn } from './schema-drift.ts';

/** The tables of histories. Lookups between them form chains and loops, and some have several targets. */
const candidates = [
  ...['account', 'contact', 'lead', 'systemuser', 'team', 'teammembership', 'businessunit', 'accountleads'],
  ...['new_box', 'new_shipmentline', 'new_ledgerentry', 'new_campaign', 'new_account_new_campaign'],
  ...['activitypointer', 'email', 'task', 'new_surveyresponse'],
];
/** Tables that histories may drop. */
const droppable = ['new_shipmentline', 'new_ledgerentry', 'lead', 'new_box', 'task', 'new_surveyresponse'];
/** The calculated column of histories that verify. */
const computed = 'new_computed';
const types = [
  'text',
  'int',
  'int64',
  'decimal:28:12',
  'double',
  'bool',
  'date',
  'datetime',
  'guid',
  'memo',
  'binary',
];

export interface WorldOptions {
  /** Of a storage emulator; without it the storage is in memory. */
  connectionString?: string;
  /** The PostgreSQL database for the mirror. @default the mirror is SQLite */
  postgres?: PostgresProxy | undefined;
  /** The memory for the database. @default all of it fits */
  cacheMegabytes?: number | undefined;
  /** Tables with more rows are large, where the database does not fit. */
  scanRows?: number | undefined;
  /** The databases that the tables are divided among. @default one */
  databases?: readonly (string | undefined)[] | undefined;
  /** What mirrors the landing zone that tables are exported to. @default nothing is exported */
  fabric?: Fabric | undefined;
}

/** Runs a random history: a sample Dataverse, the sync's services, and the check of the mirror. */
export class World {
  readonly dataverse: SampleDataverse;
  readonly harness: Harness;
  readonly #check: MirrorCheck;
  readonly #clock: { now: number };
  readonly #dropped = new Map<string, Table>();
  readonly #gone = new Map<string, string[]>();
  /** Handlers of the messages of all runs so far, to deliver a message again. */
  readonly #sent: (() => Promise<void>)[] = [];
  #random = new Random(1, 'world');
  #config: EntityChoice[] = [];
  /** Earlier states of the databases, the oldest first. */
  readonly #states = new Map<string | undefined, Buffer[]>();
  /** How often tables moved to other databases. */
  #moves = 0;
  readonly #databases: readonly (string | undefined)[];
  readonly #fabric: Fabric | undefined;
  /** How many writes to storage are left until the process dies. */
  #writesLeft = Number.POSITIVE_INFINITY;
  /** How often the process has died. */
  #deaths = 0;
  #duplicates = false;
  /** Whether the last sync was compared, so that the mirror is known. */
  #isKnown = true;

  private constructor(
    dataverse: SampleDataverse,
    harness: Harness,
    clock: { now: number },
    { databases = [undefined], fabric }: WorldOptions,
  ) {
    this.#fabric = fabric;
    this.#databases = databases;
    this.dataverse = dataverse;
    this.harness = harness;
    this.#clock = clock;
    this.#check = new MirrorCheck(harness, dataverse);
  }

  static async create(config: HistoryConfig, options: WorldOptions = {}): Promise<World> {
    const clock = { now: Date.parse('2026-11-21T02:00:00.000Z') };
    const dataverse = await startSampleDataverse({
      rows: config.rows,
      tables: candidates.filter((name) => name !== 'activitypointer'),
      seed: config.seed,
      clock: () => new Date(clock.now),
      ...(config.wideVersions ? { firstVersion: 9_007_199_254_740_993n } : {}),
    });
    let world: World | undefined;
    const harness = await Harness.create({
      ...options,
      postgres: options.postgres?.address,
      lake: options.fabric?.landingZone,
      dataverseUrl: dataverse.url,
      entities: ['account'],
      settings: {
        DATAVERSE_PAGE_SIZE: String(config.pageSize),
        SYNC_OVERLAP_SECONDS: String(config.overlapSeconds),
        SYNC_MASS_DELETE_LIMIT: '1',
        // Less than a second: the clock moves more between two syncs.
        SYNC_VERIFY_HOURS: config.verifies ? '0.0001' : '24',
        ...(config.smallSlices ? { SYNC_SLICE_MB: '0.002' } : {}),
        ...(options.cacheMegabytes !== undefined && { SYNC_CACHE_MB: String(options.cacheMegabytes) }),
      },
      pick: (waiting) => world!.#random.below(Math.max(1, waiting)),
    });
    world = new World(dataverse, harness, clock, options);
    world.#prepareServices();
    if (options.postgres !== undefined) world.#mortalIn(options.postgres);
    world.#prepareTables(config);
    return world;
  }

  /** Lives a history. Returns how often the process died in it. */
  static async live({ config, steps }: RandomHistory, options: WorldOptions = {}): Promise<number> {
    const world = await World.create(config, options);
    try {
      for (const step of steps) await world.do(step);
      await world.do(plainSync);
      await world.#check.historyOfAll();
      return world.#deaths;
    } finally {
      await world.dataverse.stop();
      world.harness.restarted();
    }
  }

  #prepareServices(): void {
    const { services } = this.harness;
    const { url, credential } = services.settings.dataverse;
    const { sendPlan: plan, sendFetch: fetch, sendMerge: merge, sendExport } = services;
    const send = { plan, fetch, merge };
    Object.assign(services, {
      now: () => new Date(this.#clock.now),
      dataverse: createDataverseClient({
        url,
        credential: createCredential(credential),
        // As many retries as in production, with shorter delays.
        retry: { baseDelaySeconds: 0.001, maxTries: 3 },
      }),
      sendPlan: async (message: PlanMessage, delay = 0) => {
        this.#clock.now += delay * 1000;
        await send.plan(message);
      },
      sendFetch: async (message: FetchMessage, delaySeconds?: number) => {
        this.#sent.push(() => fetchSlice(services, message, { redelivered: true }));
        await send.fetch(message, delaySeconds);
        if (this.#duplicates) await send.fetch(message, delaySeconds);
      },
      sendExport: async (message: ExportMessage, delay = 0) => {
        if (delay > 0) await this.#endClaim();
        this.#sent.push(() => exportTables(services, message, { limits: this.harness.exportLimits }));
        await sendExport(message);
        if (this.#duplicates) await sendExport(message);
      },
      sendMerge: async (message: MergeMessage, delay = 0) => {
        this.#sent.push(() => mergeRound(services, message));
        // A minute in production.
        const delaySeconds = message.early ? 0.1 : undefined;
        if (!message.early) this.#clock.now += delay * 1000;
        await send.merge(message, delaySeconds);
        if (this.#duplicates) await send.merge(message, delaySeconds);
      },
    });
    this.harness.onWait = (milliseconds) => {
      this.#clock.now += milliseconds;
    };
    this.harness.exportLimits = { fileRows: 4, pageRows: 3 };
    this.#mortal();
    this.harness.restarted();
  }

  /** Makes the storage fail once the process has died. */
  #mortal(): void {
    const { work, published, databaseFile, namedFile, lake } = this.harness.storage;
    const named = this.#databases.flatMap((name) => (name === undefined ? [] : namedFile(name)));
    const writes = [
      'create',
      'createIfAbsent',
      'putBytes',
      'put',
      'putText',
      'replaceIfUnchanged',
      'deleteIfUnchanged',
      'commit',
      'writeFile',
      'describe',
      'clear',
    ];
    const stores: unknown[] = [
      work,
      published,
      databaseFile,
      ...named,
      ...(lake === undefined ? [] : [lake]),
    ];
    for (const store of stores as Record<string, unknown>[]) {
      for (const step of [...writes, 'read', 'getBytes', 'open', 'currentEtag', 'deletePrefix', 'look']) {
        if (typeof store[step] !== 'function') continue;
        const real = (store[step] as (...args: unknown[]) => Promise<unknown>).bind(store);
        store[step] = async (...args: unknown[]) => {
          if (this.#dead) throw new Error('killed');
          // It dies before the write, or after it but before the response.
          const dying = writes.includes(step) && --this.#writesLeft <= 0;
          if (dying && this.#random.chance(0.5)) throw new Error('killed');
          const result = await real(...args);
          if (dying || this.#dead) throw new Error('killed');
          return result;
        };
      }
    }
  }

  /** Makes the process die at statements of PostgreSQL, too: each commit counts as a write, and some of the others. */
  #mortalIn(postgres: PostgresProxy): void {
    let statements = 0;
    postgres.onStatement = (sql) => {
      if (this.#dead) return 'before';
      statements += 1;
      const dying = (sql === 'COMMIT' || statements % 7 === 0) && --this.#writesLeft <= 0;
      if (!dying) return undefined;
      return this.#random.chance(0.5) ? 'before' : 'after';
    };
  }

  get #dead(): boolean {
    return this.#writesLeft <= 0;
  }

  #prepareTables(config: HistoryConfig): void {
    const { store } = this.dataverse;
    for (const name of candidates) {
      if (!store.table(name).abstract) store.rowsOf(store.table(name));
    }
    if (config.versionless !== undefined) {
      const names = droppable.filter((name) => name !== 'task');
      dropColumn(store, names[config.versionless % names.length]!, 'versionnumber');
    }
    for (const name of config.verifies ? candidates : []) {
      const table = store.table(name);
      if (table.abstract || table.intersect !== undefined) continue;
      addColumn(store, name, computed, 'decimal:20:4', () => null);
      store.table(name).columns.find((column) => column.name === computed)!.source = 'calculated';
    }
    for (const choice of config.entities) this.#configure(choice);
  }

  /** Adds a table to entities.json. The first one, and abstract ones, are mirrored as a whole. */
  #configure(choice: EntityChoice): void {
    const free = candidates.filter(
      (name) =>
        this.dataverse.store.model.tables.has(name) && !this.#config.some((one) => nameOf(one) === name),
    );
    if (free.length === 0) return;
    const name = free[choice.table % free.length]!;
    const filtered = choice.filtered && this.#config.length > 0 && name !== 'activitypointer';
    this.#config.push({ ...choice, filtered, table: candidates.indexOf(name) });
    this.#place();
  }

  /** Writes entities.json, with the databases of the tables. */
  #place(): void {
    const entities = this.#config.map(({ table: _, ...one }) => ({ ...one, name: '' }));
    for (const [index, one] of this.#config.entries()) {
      // A history stays behind when its table moves.
      const stays = one.history || one.deletes === 'mark';
      const place = one.table + (stays ? 0 : this.#moves * (index + 1));
      const database = this.#databases[place % this.#databases.length];
      Object.assign(entities[index]!, { name: nameOf(one), ...(database !== undefined && { database }) });
    }
    this.harness.configure(entities);
  }

  async do(step: Step): Promise<void> {
    if (step.do === 'sync') await this.#sync(step);
    else if (/column|table$/.test(step.do)) this.#changeSchema(step as SchemaStep);
    else this.#changeData(step as DataStep);
  }

  /** The writable table with this number, among the configured ones and two others. */
  #table(number: number): Table | undefined {
    const { model } = this.dataverse.store;
    // Changes of a table that is not mirrored must not matter.
    const names = [...new Set([...this.#config, ...this.#config].map(nameOf)), 'account', 'contact'];
    const tables = names
      .map((name) => (name === 'activitypointer' ? 'email' : name))
      .flatMap((name) => model.tables.get(name) ?? []);
    return tables[number % tables.length];
  }

  #changeData(step: DataStep): void {
    const { store } = this.dataverse;
    if (step.do === 'tick') {
      this.#clock.now += step.milliseconds;
      return;
    }
    const table = this.#table(step.table);
    if (table === undefined) return;
    const ids = [...store.rowsOf(table).all()].map((row) => row.id);
    const at = (row: number): string | undefined => ids[row % ids.length];
    const random = new Random('seed' in step ? step.seed : 1, step.do);
    if (table.intersect !== undefined) {
      this.#changeLinks(step, table, at);
      return;
    }
    const backdate = 'backdated' in step && step.backdated ? this.#backdate(table, random) : {};
    switch (step.do) {
      case 'create':
        for (let i = 0; i < step.count; i++) {
          const values = randomValues(store, table, random, 0.7);
          store.create(table.logicalName, { ...values, ...backdate, [table.primaryId]: random.guid() });
        }
        break;
      case 'update':
        for (let i = 0; i < Math.min(step.count, ids.length); i++) {
          const values = randomValues(store, table, random, 0.3);
          store.update(table.logicalName, at(step.row + i)!, { ...values, ...backdate });
        }
        break;
      case 'delete':
        for (const id of new Set(Array.from({ length: step.count }, (_, i) => at(step.row + i)))) {
          if (id !== undefined) this.#delete(table, id);
        }
        break;
      case 'recreate': {
        const id = at(step.row);
        if (id === undefined) break;
        this.#delete(table, id);
        store.create(table.logicalName, {
          ...randomValues(store, table, random, 0.5),
          [table.primaryId]: id,
        });
        break;
      }
      case 'revive': {
        const gone = this.#gone.get(table.logicalName) ?? [];
        const id = gone[step.row % gone.length];
        if (id === undefined || store.rowsOf(table).get(id) !== undefined) break;
        store.create(table.logicalName, {
          ...randomValues(store, table, random, 0.5),
          [table.primaryId]: id,
        });
        break;
      }
      case 'reparent': {
        const id = at(step.row);
        const lookups = table.columns.filter((column) => isSettable(column));
        const lookup = lookups[step.lookup % lookups.length];
        if (id === undefined || lookup === undefined) break;
        const targets = lookupTargets(store, lookup);
        const target = step.target % 5 === 0 ? null : (targets[step.target % targets.length] ?? null);
        store.update(table.logicalName, id, { [lookup.name]: target });
        break;
      }
      case 'compute':
        for (let i = 0; i < Math.min(step.count, ids.length); i++) {
          compute(store, table, at(step.row + i)!, random, { isEarlier: step.seed % 2 === 1 });
        }
        break;
      default:
        break;
    }
  }

  #changeLinks(step: DataStep, table: Table, at: (row: number) => string | undefined): void {
    const { store } = this.dataverse;
    const [one, two] = table.intersect!.ends;
    const ends = [one, two].map((end) => [...store.rowsOf(store.table(end.table)).all()].map(({ id }) => id));
    const chosen = (list: readonly string[], n: number): string | undefined => list[n % list.length];
    if (step.do === 'associate' || step.do === 'create') {
      const [first, second] = step.do === 'create' ? [step.seed, step.seed >> 8] : [step.first, step.second];
      const [a, b] = [chosen(ends[0]!, first), chosen(ends[1]!, second)];
      if (a !== undefined && b !== undefined) store.associate(table.logicalName, a, b);
      return;
    }
    const id = 'row' in step ? at(step.row) : undefined;
    const row = id === undefined ? undefined : store.rowsOf(table).get(id);
    if (row === undefined) return;
    const end = (name: string): string =>
      String(row.values[table.columns.findIndex((column) => column.name === name)]);
    const [a, b] = [end(one.column), end(two.column)];
    store.disassociate(table.logicalName, a, b);
    if (step.do === 'recreate')
      store.create(table.logicalName, { [table.primaryId]: row.id, [one.column]: a, [two.column]: b });
  }

  /** Deletes a row. Dataverse deletes no owner of rows, so the owner of these rows becomes empty first. */
  #delete(table: Table, id: string): void {
    for (const other of this.dataverse.store.model.tables.values()) {
      const owner = other.columns.findIndex((column) => column.name === '_ownerid_value');
      if (owner < 0 || other.abstract) continue;
      for (const row of [...this.dataverse.store.rowsOf(other).all()]) {
        const value = row.values[owner] ?? null;
        if (isLookup(value) && value.id === id) {
          this.dataverse.store.update(other.logicalName, row.id, { _ownerid_value: null });
        }
      }
    }
    this.dataverse.store.delete(table.logicalName, id);
    const gone = this.#gone.get(table.logicalName) ?? [];
    gone.push(id);
    this.#gone.set(table.logicalName, gone);
  }

  #backdate(table: Table, random: Random): Record<string, string> {
    if (!table.columns.some((column) => column.name === 'modifiedon')) return {};
    // Long ago, shortly before the last read, or in the future.
    const offset = random.pick([-400 * 86_400_000, -200_000, -1_000, 3_600_000]);
    return { modifiedon: dateTimeText(new Date(this.#clock.now + offset)) };
  }

  #changeSchema(step: SchemaStep): void {
    const { store } = this.dataverse;
    if (step.do === 'configure-table') {
      this.#configure(step.choice);
      return;
    }
    if (step.do === 'drop-table') {
      const names = droppable.filter((name) => store.model.tables.has(name));
      const table = store.model.tables.get(names[step.table % names.length] ?? '');
      if (table === undefined) return;
      const links = [...store.model.tables.values()].filter((other) =>
        other.intersect?.ends.some((end) => end.table === table.logicalName),
      );
      const going = new Set([table, ...links].map((one) => one.logicalName));
      // The check needs the rows of a filtered table, and a configured table that never existed is a mistake in the
      // configuration.
      const configured = this.#config.filter((one) => going.has(nameOf(one)));
      if (configured.some((one) => one.filtered || !this.#check.hasSeen(nameOf(one)))) return;
      for (const other of links) this.#dropped.set(other.logicalName, other);
      this.#dropped.set(table.logicalName, table);
      dropTable(store, table.logicalName);
      return;
    }
    if (step.do === 'restore-table') {
      const [name, table] = [...this.#dropped][step.table % this.#dropped.size] ?? [];
      if (table === undefined || table.intersect?.ends.some((end) => !store.model.tables.has(end.table)))
        return;
      restoreTable(store, table);
      this.#dropped.delete(name!);
      return;
    }
    const table = this.#table(step.table);
    if (table === undefined || table.intersect !== undefined) return;
    const random = new Random('seed' in step ? step.seed : 1, step.do);
    const value = (column: Table['columns'][number]) => randomValue(column, random, store.now());
    const own = table.columns.slice(table.inherited);
    const lookups = own.filter((column) => isSettable(column) && column.name !== '_ownerid_value');
    const free = own.filter((column) => isFree(table, column));
    if (step.do === 'add-column') {
      addColumn(
        store,
        table.logicalName,
        `new_extra${step.name % 4}`,
        types[step.type % types.length]!,
        value,
      );
    } else if (step.do === 'drop-column') {
      const columns = [...free, ...lookups];
      const column = columns[step.column % columns.length];
      if (column !== undefined) dropColumn(store, table.logicalName, column.name);
    } else {
      const columns = free.filter((column) => column.name !== table.primaryName);
      const column = columns[step.column % columns.length];
      if (column !== undefined)
        retypeColumn(store, table.logicalName, column.name, types[step.type % types.length]!, value);
    }
  }

  async #sync(step: SyncStep): Promise<void> {
    const { harness, dataverse } = this;
    this.#clock.now += 1_000;
    this.#random = new Random(step.seed, 'sync');
    // A table that moves, or loses what was known of it, is made good only by a run that covers it.
    const isDivided = this.#databases.length > 1 && step.tables === undefined;
    if (isDivided && step.seed % 3 === 0) {
      this.#moves += 1;
      this.#place();
    }
    this.#duplicates = step.duplicates;
    for (const fault of step.faults) {
      const aimed =
        fault.kind === 'expired-token'
          ? { match: /deltatoken/ }
          : fault.kind === 'repeat-row'
            ? { match: /skiptoken/ }
            : {};
      // After a restart, the repeated row would be of another read.
      if (fault.kind === 'repeat-row' && (step.kill !== undefined || step.duplicates || step.parallel > 1))
        continue;
      dataverse.faults.add({ ...fault, ...aimed, retryAfter: 0, delayMs: 3 });
    }
    if (isDivided && step.seed % 2 === 0) await this.#restoreOne(step.seed);
    // As the database has it: a process that died may have left an older state.json.
    const before = (await harness.services.mirror.loadState()).state.entities;
    this.#writesLeft = step.kill ?? Number.POSITIVE_INFINITY;
    const meanwhile = [...step.meanwhile];
    // Runs that the timer starts are planned where they start.
    const inPlace = step.tables === undefined ? 'timer' : 'changes';
    const trigger = step.seed % 2 === 0 ? 'http' : inPlace;
    const configured = harness.entities.map(({ name }) => name);
    const tables = step.tables && [...new Set(step.tables.map((n) => configured[n % configured.length]!))];
    let runId = await this.#start({ trigger, tables });
    for (let turn = 0; harness.waiting > 0 || this.#dead; turn++) {
      if (this.#dead) {
        this.#writesLeft = Number.POSITIVE_INFINITY;
        this.#deaths += 1;
        harness.restarted();
        runId = (await this.#start({ resume: true })) ?? runId;
      }
      if (this.#duplicates && this.#random.chance(0.1) && this.#sent.length > 0) {
        // A message of any run so far is delivered again, late.
        await this.#random
          .pick(this.#sent)()
          .catch(() => undefined);
      }
      const next = turn > 1 ? meanwhile.shift() : undefined;
      if (next !== undefined) this.#changeData(next);
      await Promise.all(
        Array.from({ length: step.parallel }, () => harness.deliver().catch(() => undefined)),
      );
    }
    dataverse.faults.clear();
    this.#duplicates = false;
    this.#writesLeft = Number.POSITIVE_INFINITY;
    await this.#judge(step, runId, { trigger, tables }, before);
    if (this.#fabric !== undefined) await this.#judgeLake(this.#fabric, step);
    if (this.#databases.length > 1) await this.#keepStates();
  }

  /** Puts an earlier state of one database back, unless a table of it has versions or marks that would be lost. */
  async #restoreOne(seed: number): Promise<void> {
    const { harness } = this;
    const name = this.#databases[seed % this.#databases.length];
    const isKept = harness.entities.some(
      ({ database, history, deletes }) => database === name && (history || deletes === 'mark'),
    );
    const [earlier, ...later] = this.#states.get(name) ?? [];
    if (isKept || earlier === undefined) return;
    await harness.services.published.putBytes(`${name ?? 'dataverse'}.db`, earlier);
    this.#states.set(name, later);
    this.#check.forget(name);
  }

  /** Keeps the present states of all databases, to put one of them back later. */
  async #keepStates(): Promise<void> {
    for (const name of this.#databases) {
      const [etag] = await this.harness.etags(name);
      if (etag === undefined) continue;
      const states = this.#states.get(name) ?? [];
      this.#states.set(name, [...states, await this.harness.databaseBytes(name)].slice(-3));
    }
  }

  async #start(options: Partial<StartOptions>): Promise<string | undefined> {
    return this.harness
      .startUnplanned(options)
      .then(({ runId }) => runId)
      .catch(() => undefined);
  }

  async #judge(
    step: SyncStep,
    runId: string | undefined,
    options: StartOptions,
    before: State['entities'],
  ): Promise<void> {
    const { harness } = this;
    const wasKnown = this.#isKnown;
    this.#isKnown = false;
    const undisturbed = step.faults.length === 0 && step.kill === undefined;
    let status: RunStatus | undefined;
    if (runId !== undefined) status = await runStatus(harness.services, runId);
    const good = status?.phase === 'complete' && status.entities.every(({ state }) => state !== 'failed');
    if (undisturbed && !good) {
      const why = status?.entities.filter((entity) => entity.state === 'failed');
      throw new Error(
        `an undisturbed sync did not succeed: ${status?.phase} ${status?.error} ${JSON.stringify(why)}`,
      );
    }
    // If a sync reports success, the mirror must be right despite all faults.
    if (!good || step.meanwhile.length > 0) return;
    // Of tables outside of a narrow run, nothing is known if the sync before was not compared. The start of a run that
    // died can have become a run of all tables.
    const covered = status!.tables && new Set(status!.entities.map(({ name }) => name));
    if (covered !== undefined) {
      await this.#judgeOthers(covered, status!.tables!, before);
      if (!wasKnown) return;
    }
    this.#clock.now += 1;
    await this.#check.now(harness.entities, new Date(this.#clock.now).toISOString(), covered);
    this.#isKnown = true;
    // After a fault, the next run may have labels to read.
    if (!step.again || step.faults.length > 0) return;
    this.#clock.now += 1;
    const etags = (await harness.etags(...this.#databases)).join();
    const again = await harness.sync(options);
    const { added, updated, deleted, failed } = again.totals;
    const after = (await harness.etags(...this.#databases)).join();
    if (added + updated + deleted + failed > 0 || after !== etags) {
      throw new Error(
        `a repeated sync was not idle: ${after === etags ? '' : 'it moved bytes'} ${JSON.stringify(again.entities)}`,
      );
    }
  }

  /** As if the time of a claim were over, which is longer than that of all other things here. */
  async #endClaim(): Promise<void> {
    const { work } = this.harness.services;
    const { value, etag } = await readExport({ work });
    if (etag !== undefined)
      await work.replaceIfUnchanged('export.json', { ...value, claim: undefined }, etag);
  }

  /** What is exported must equal the mirror. After a sync in which no process died, all of it is exported. */
  async #judgeLake(fabric: Fabric, { seed, kill }: SyncStep): Promise<void> {
    const { harness } = this;
    await fabric.mirror((['keeps', 'deletes', 'moves'] as const)[seed % 3]);
    const { etag, failures } = (await readExport(harness.services)).value;
    const { databaseEtag } = (await harness.services.mirror.loadState()).state;
    if (databaseEtag === undefined) return;
    if (etag !== databaseEtag) {
      if (kill === undefined) throw new Error(`the export is behind: ${JSON.stringify(failures)}`);
      return;
    }
    const databases: Buffer[] = [];
    for (const name of this.#databases) {
      const [found] = await harness.etags(name);
      if (found !== undefined) databases.push(await harness.databaseBytes(name));
    }
    const found = fabric.differences(databases);
    if (found.length > 0) throw new Error(`the lake differs: ${found.slice(0, 20).join('\n')}`);
  }

  /** A narrow run covers its tables and filtered ones, and leaves the cursors of all others. */
  async #judgeOthers(
    covered: ReadonlySet<string>,
    asked: readonly string[],
    before: State['entities'],
  ): Promise<void> {
    const { entities, services } = this.harness;
    const after = (await services.mirror.lastState())?.entities ?? {};
    for (const name of asked) if (!covered.has(name)) throw new Error(`the run left out ${name}`);
    for (const { name, filtered } of entities) {
      if (covered.has(name)) {
        if (!filtered && !asked.includes(name)) throw new Error(`the run was not asked for ${name}`);
      } else if (!isDeepStrictEqual(stored(after[name]), stored(before[name]))) {
        throw new Error(`the run changed the state of ${name}, which it does not cover`);
      }
    }
  }
}

/**
 * A state as it is stored, without members that are undefined, and without the note that the environment has moved back in
 * time: that concerns all tables.
 */
function stored(state: State['entities'][string] | undefined): unknown {
  return state && JSON.parse(JSON.stringify({ ...state, reread: undefined }));
}

function nameOf(choice: EntityChoice): string {
  return candidates[choice.table]!;
}

import { expect } from 'vitest';
import { createDataverseClient } from '../../src/dataverse/client.ts';
import { createCredential } from '../../src/dataverse/credential.ts';
import {
  type RowValues,
  type SampleDataverse,
  type SampleDataverseOptions,
  type Store,
  startSampleDataverse,
} from '../../src/local/sample-dataverse/index.ts';
import type { TableReport } from '../../src/sync/documents/report.ts';
import type { RunStatus } from '../../src/sync/run/run-status.ts';
import { Harness } from './harness.ts';
import { emptyVersions, wrongDeclarations } from './mirror-check.ts';
import { differences, readTruth, withDatabase } from './truth.ts';

/** A small organisation and its mirror. The test sets the clock of both. */
export class Organisation {
  readonly dataverse: SampleDataverse;
  readonly harness: Harness;
  readonly clock: { now: number };

  private constructor(dataverse: SampleDataverse, harness: Harness, clock: { now: number }) {
    this.dataverse = dataverse;
    this.harness = harness;
    this.clock = clock;
  }

  /**
   * @param entities the content of entities.json
   * @param scanRows tables with more rows are large, in a file that is in memory in parts
   * @param postgres the connection string of a database for the mirror, which is SQLite otherwise
   * @param distributeRows tables with as many rows are distributed, in a database of a cluster
   */
  static async start(
    entities: unknown[],
    sample: SampleDataverseOptions = {},
    settings: Record<string, string> = {},
    scanRows?: number,
    postgres?: string,
    distributeRows?: number,
  ): Promise<Organisation> {
    const clock = { now: Date.parse('2026-11-21T02:00:00Z') };
    const dataverse = await startSampleDataverse({
      rows: 0,
      clock: () => new Date(clock.now),
      ...sample,
    });
    const harness = await Harness.create({
      dataverseUrl: dataverse.url,
      entities,
      settings,
      scanRows,
      ...{ postgres, distributeRows },
    });
    Object.assign(harness.services, { now: () => new Date(clock.now) });
    harness.onWait = (milliseconds) => {
      clock.now += milliseconds;
    };
    const organisation = new Organisation(dataverse, harness, clock);
    organisation.#connect(1.5);
    return organisation;
  }

  /** @param maxPauseSeconds up to which the client waits itself for what Dataverse asks for */
  #connect(maxPauseSeconds: number): void {
    const { services } = this.harness;
    const { url, credential } = services.settings.dataverse;
    services.dataverse = createDataverseClient({
      url,
      credential: createCredential(credential),
      retry: { baseDelaySeconds: 0.001, maxTries: 3, maxPauseSeconds },
    });
  }

  /**
   * Leaves waits to the queue that Dataverse asks for, and lets a second of them take a quarter. The queue waits one and a
   * half times as long as it is asked to, and at least a second.
   * @returns the `Retry-After` for which that second is enough
   */
  waitInQueue(): number {
    this.#connect(0.1);
    this.harness.fetchDelay = 1 / 4;
    return 0.15;
  }

  get store(): Store {
    return this.dataverse.store;
  }

  /** Creates rows. Returns their ids. */
  rows(table: string, count: number, values: (index: number) => RowValues = () => ({})): string[] {
    return Array.from({ length: count }, (_, index) => this.store.create(table, values(index)));
  }

  /** A sync a minute later, which must complete. */
  async sync(options: Parameters<Harness['sync']>[0] = {}): Promise<RunStatus> {
    this.clock.now += 60_000;
    const status = await this.harness.sync(options);
    expect(status.phase).toBe('complete');
    return status;
  }

  async query(sql: string): Promise<Record<string, unknown>[]> {
    return withDatabase(await this.harness.databaseBytes(), (db) => db.prepare(sql).all());
  }

  async ids(table: string): Promise<string[]> {
    const { entitySetName, primaryId } = this.store.table(table);
    const rows = await this.query(`SELECT ${primaryId} AS id FROM ${entitySetName} ORDER BY id`);
    return rows.map((row) => String(row['id']));
  }

  /** Declarations and bookkeeping must agree, and no version in a history may be empty. */
  async expectSound(): Promise<void> {
    const bytes = await this.harness.databaseBytes();
    withDatabase(bytes, (db) => expect([...wrongDeclarations(db), ...emptyVersions(db)]).toEqual([]));
  }

  /** The mirror must have all rows of the tables and no others. */
  async expectMirror(...tables: string[]): Promise<void> {
    const bytes = await this.harness.databaseBytes();
    for (const name of tables) {
      const table = this.store.table(name);
      const truth = await readTruth(this.dataverse.url, table.entitySetName!);
      const shape = { entitySet: table.entitySetName!, primaryKey: table.primaryId };
      withDatabase(bytes, (db) => {
        const columns = db.prepare(`PRAGMA table_info(${shape.entitySet})`).all();
        const marks = columns.some((column) => column['name'] === '_deleted_at');
        expect(differences(db, shape, truth, { marks })).toEqual([]);
      });
    }
  }

  /** The next sync must find nothing to do, and move no byte of the database. */
  async expectIdle(): Promise<RunStatus> {
    const [before] = await this.harness.etags(undefined);
    const status = await this.sync();
    expect(status.totals).toMatchObject({ added: 0, updated: 0, deleted: 0, failed: 0 });
    expect(await this.harness.etags(undefined)).toEqual([before]);
    return status;
  }

  stop(): Promise<void> {
    return this.dataverse.stop();
  }
}

/** A run's report of one table. */
export function reportOf(status: Pick<RunStatus, 'entities'>, name: string): TableReport {
  return status.entities.find((entity) => entity.name === name)!;
}

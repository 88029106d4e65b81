import { createDataverseClient } from '../../src/dataverse/client.ts';
import { createCredential } from '../../src/dataverse/credential.ts';
import {
  type RowValues,
  type SampleDataverse,
  startSampleDataverse,
  type Value,
} from '../../src/local/sample-dataverse/index.ts';
import type { ChoiceKind } from '../../src/local/sample-dataverse/metadata/model.ts';
import {
  addTable,
  choiceColumn,
  columns,
  lookupColumn,
  resolveLookups,
} from '../../src/local/sample-dataverse/metadata/model-builder.ts';
import type { RunStatus } from '../../src/sync/run/run-status.ts';
import { Harness } from '../sync/harness.ts';

/** A table as a fixture describes it: in words, so that it outlives changes of the sample Dataverse's own model. */
export interface TableDescription {
  name: string;
  set: string;
  primaryName?: string;
  tracked?: boolean;
  /** Types by column name, in the words of the sample Dataverse's `columns()`. */
  columns?: Record<string, string>;
  choices?: Record<string, { kind: ChoiceKind; options: [value: number, label: string, state?: number][] }>;
  lookups?: Record<string, [table: string, navigation: string][]>;
  /** The two ends of an N:N table: table, column, navigation property. */
  intersect?: [[string, string, string], [string, string, string]];
}

export interface FileDescription {
  table: string;
  id: string;
  column: string;
  name: string;
  base64: string;
}

/** An organisation at one moment, with everything that a later version needs to continue its mirror. */
export interface OrganisationDescription {
  /** Its address; delta links and next links begin with it. */
  url: string;
  /** Milliseconds since 1970, for the organisation and for the sync. */
  clock: number;
  /** The last row version given out. */
  version: bigint;
  metadataVersion: bigint;
  /** The content of entities.json. */
  entities: unknown[];
  settings: Record<string, string>;
  tables: TableDescription[];
  /** By table. */
  rows: Record<string, { id: string; version: bigint; values: Record<string, Value> }[]>;
  /** Deleted rows that change tracking still reports, by table. */
  tombstones: Record<string, { id: string; version: bigint }[]>;
  files: FileDescription[];
}

/** An organisation with tables of its own in a sample Dataverse, and its sync; one clock for both. */
export class UpgradeOrganisation {
  readonly dataverse: SampleDataverse;
  readonly harness: Harness;
  readonly clock: { now: number };

  private constructor(dataverse: SampleDataverse, harness: Harness, clock: { now: number }) {
    this.dataverse = dataverse;
    this.harness = harness;
    this.clock = clock;
  }

  /** @param connectionString of real storage; without it the storage is in memory */
  static async start(
    description: Omit<OrganisationDescription, 'url'>,
    connectionString?: string,
  ): Promise<UpgradeOrganisation> {
    const clock = { now: description.clock };
    const dataverse = await startSampleDataverse({
      rows: 0,
      tables: [],
      firstVersion: description.version,
      clock: () => new Date(clock.now),
    });
    addTables(dataverse, description.tables);
    const harness = await Harness.create({
      dataverseUrl: dataverse.url,
      entities: description.entities,
      settings: description.settings,
      connectionString,
    });
    const { services } = harness;
    const { url, credential } = services.settings.dataverse;
    services.now = () => new Date(clock.now);
    services.dataverse = createDataverseClient({
      url,
      credential: createCredential(credential),
      retry: { baseDelaySeconds: 0.001, maxTries: 3 },
    });
    if (connectionString === undefined) Object.assign(services, { files: filesIn(services.published) });
    const organisation = new UpgradeOrganisation(dataverse, harness, clock);
    await organisation.#fill(description);
    return organisation;
  }

  get store() {
    return this.dataverse.store;
  }

  /** A sync one hour later, so that no read overlaps the previous one. */
  async sync(options: Parameters<Harness['sync']>[0] = {}): Promise<RunStatus> {
    this.clock.now += 3_600_000;
    return this.harness.sync(options);
  }

  /** Sends the content of a file or image column. */
  async upload({ table, id, column, name, base64 }: FileDescription): Promise<void> {
    const set = this.store.table(table).entitySetName;
    const response = await fetch(`${this.dataverse.url}/api/data/v9.2/${set}(${id})/${column}`, {
      method: 'PATCH',
      headers: {
        authorization: 'Bearer test',
        'content-type': 'application/octet-stream',
        'x-ms-file-name': encodeURIComponent(name),
      },
      body: Buffer.from(base64, 'base64'),
    });
    if (!response.ok) throw new Error(`upload: ${response.status} ${await response.text()}`);
  }

  /** The organisation as it stands, for a fixture. */
  describe(
    description: Pick<OrganisationDescription, 'entities' | 'settings' | 'tables' | 'files'>,
  ): OrganisationDescription {
    const { store } = this;
    const rows: OrganisationDescription['rows'] = {};
    const tombstones: OrganisationDescription['tombstones'] = {};
    for (const { name } of description.tables) {
      rows[name] = [...store.truth(name)].map(([id, { '@version': version, ...values }]) => ({
        id,
        version,
        values: Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null)),
      }));
      tombstones[name] = store.rowsOf(store.table(name)).tombstones;
    }
    const { version, metadataVersion } = store;
    return {
      url: this.dataverse.url,
      ...description,
      clock: this.clock.now,
      version,
      metadataVersion,
      rows,
      tombstones,
    };
  }

  async #fill({
    rows,
    tombstones,
    files,
    metadataVersion,
  }: Omit<OrganisationDescription, 'url'>): Promise<void> {
    const { store } = this;
    const put = (name: string, id: string, version: bigint, values: RowValues): void => {
      const table = store.table(name);
      store.rowsOf(table).put({
        ...store.rowsOf(table).get(id)!,
        version,
        values: table.columns.map((column) => values[column.name] ?? null),
      });
    };
    const each = Object.entries(rows).flatMap(([name, list]) => list.map((row) => ({ name, ...row })));
    for (const { name, values } of each) store.create(name, values);
    for (const file of files) await this.upload(file);
    // Creating and uploading wrote versions and moments of their own.
    for (const { name, id, version, values } of each) put(name, id, version, values);
    for (const [name, list] of Object.entries(tombstones))
      store.rowsOf(store.table(name)).tombstones.push(...list);
    store.metadataVersion = metadataVersion;
  }

  stop(): Promise<void> {
    return this.dataverse.stop();
  }
}

/** Adds the tables before the first request, so that delta tokens from before stay valid. */
function addTables(dataverse: SampleDataverse, tables: readonly TableDescription[]): void {
  const { model } = dataverse.store;
  const added = tables.map(({ columns: words = {}, choices = {}, lookups = {}, ...table }) =>
    addTable(model, {
      ...table,
      columns: [
        ...columns(words),
        ...Object.entries(choices).map(([name, { kind, options }]) => choiceColumn(name, kind, options)),
        ...Object.entries(lookups).map(([name, targets]) => lookupColumn(name, targets)),
      ],
    }),
  );
  for (const table of added) resolveLookups(model, table);
}

/** Contents of file columns in the same container as the published documents, as on real storage. */
function filesIn(published: Harness['services']['published']) {
  return {
    write: async (name: string, chunks: AsyncIterable<Uint8Array>) => {
      const parts: Uint8Array[] = [];
      for await (const chunk of chunks) parts.push(chunk);
      const bytes = Buffer.concat(parts);
      await published.putBytes(name, bytes);
      return bytes.length;
    },
    remove: async (name: string) => void (await published.deletePrefix(name)),
  };
}

import { dirname, join, resolve } from 'node:path';
import { BlobServiceClient } from '@azure/storage-blob';
import { Environment } from '../config/environments/environment.ts';
import { placesWithName } from '../config/environments/environment-settings.ts';
import { databaseFileOf, databaseNameOf } from '../storage/database/database-names.ts';
import type { RunStatus } from '../sync/run/run-status.ts';
import { formatBytes } from '../terminal/format.ts';
import { openCommand } from '../terminal/open-command.ts';
import { DatabaseCopies, DatabaseCopy } from './data-folder/database-copy.ts';
import type { LocalEnvironment } from './local-environment.ts';
import type { StartOptions } from './start-options.ts';
import { SyncClient } from './sync-client.ts';

/** The mirror of one environment of `npm start`: how to sync it, and where it is. */
export class LocalMirror {
  readonly name: string | undefined;
  readonly client: SyncClient;
  /** The address of what the app serves of it. */
  readonly root: string;
  /** The file for the user, if the mirror is one. */
  readonly file: string;
  readonly copies: DatabaseCopies;
  readonly #postgres: LocalEnvironment['postgres'];

  /** @param name of a further environment; undefined for that of the app settings */
  constructor(
    name: string | undefined,
    environment: LocalEnvironment,
    { out }: Pick<StartOptions, 'out'>,
    stop: AbortSignal,
  ) {
    this.name = name;
    const { host, dataFolder } = environment;
    this.root = `${host.url}/api${name === undefined ? '' : `/environments/${name}`}`;
    this.client = new SyncClient(this.root, host.functionKey, stop);
    this.#postgres = environment.postgres;
    const folder = name === undefined ? dataFolder : join(dataFolder, 'environments', name);
    const own = join(folder, 'dataverse.db');
    const copy = out === undefined ? undefined : resolve(out);
    this.file = copy ?? own;
    this.copies = new DatabaseCopies(databaseNameOf(blobName(environment)), (database) => {
      const of = (path: string) => (database === undefined ? path : join(dirname(path), `${database}.db`));
      const files = copy === undefined ? [of(own)] : [of(own), of(copy)];
      return new DatabaseCopy(this.#blob(environment, database), files);
    });
  }

  /** Brings the copies of a file up to date. A mirror in PostgreSQL needs none: everybody can read it there. */
  async update(run: RunStatus): Promise<void> {
    if (this.#postgres === undefined) await this.copies.update(run);
  }

  /** Where the mirror is, and how to open it. @param isOver the servers end with this command */
  *where(isOver: boolean): Iterable<string> {
    if (this.#postgres !== undefined) {
      yield `Database   ${this.#postgres.place(this.name)}`;
      yield `Open it    ${isOver ? 'start it without --once' : this.#postgres.command(this.name)}`;
      return;
    }
    // The default database does not exist if every table is in another one.
    const { all } = this.copies;
    const shown = all.filter(({ bytes }, index) => bytes > 0 || (index === 0 && all.length === 1));
    for (const copy of shown) yield `Database   ${copy.file} (${formatBytes(copy.bytes)})`;
    yield `Open it    ${openCommand(shown[0]?.file ?? this.file)}`;
  }

  /** The beginning of lines about one of several mirrors. */
  get prefix(): string {
    return this.name === undefined ? '' : `${this.name}: `;
  }

  /** Whether a function of the app is one of this environment. */
  has(functionName: string): boolean {
    const [first = ''] = functionName.split('_');
    return functionName === new Environment(this.name, {}).functionName(first);
  }

  #blob({ connectionString, settings }: LocalEnvironment, database: string | undefined) {
    const { SYNC_DATABASE_CONTAINER: container } =
      this.name === undefined ? settings : placesWithName(this.name, settings);
    return BlobServiceClient.fromConnectionString(connectionString)
      .getContainerClient(container || 'dataverse')
      .getBlobClient(databaseFileOf(blobName({ settings }), database));
  }
}

function blobName({ settings }: Pick<LocalEnvironment, 'settings'>): string {
  return settings['SYNC_DATABASE_NAME'] || 'dataverse.db';
}

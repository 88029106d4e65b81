import { entitiesOf } from './config/entities.ts';
import { readSettings, type Settings } from './config/settings.ts';
import { ConfigurationError } from './errors.ts';
import { SqliteContents } from './mirror/sqlite-contents.ts';
import { openSyncStorage } from './services.ts';
import { loadSqlite } from './sqlite/sqlite.ts';
import { databaseNameOf } from './storage/database/database-names.ts';
import type { MirrorContents } from './target/mirror-contents.ts';
import type { ReceivedMirror } from './target/mirror-target.ts';
import { openTarget } from './target/open-target.ts';
import { openPostgresMirror } from './target/postgres/open-postgres.ts';
import type { Telemetry } from './telemetry/telemetry.ts';

type Environment = Record<string, string | undefined>;

/** The settings of both targets: PostgreSQL's are read as if it were the target, SQLite's without them. */
function bothSettings(env: Environment): { sqlite: Settings; postgres: Settings } {
  const withoutPostgres = Object.entries(env).filter(([name]) => !name.startsWith('POSTGRES_'));
  return {
    sqlite: readSettings({ ...Object.fromEntries(withoutPostgres), SYNC_TARGET: 'sqlite' }),
    postgres: readSettings({ ...env, SYNC_TARGET: 'postgres' }),
  };
}

/**
 * Moves the mirror with its cursors to another target: rows, histories, tombstones, log, labels. The mirror that it comes
 * from stays as it is. Runs may go on meanwhile: what they read is read again by the first run on the new target.
 * @throws ConfigurationError if there is no mirror, or the target has one; ConflictError if a sync commits meanwhile
 */
export async function moveMirror(
  to: 'sqlite' | 'postgres',
  env: Environment,
  telemetry: Telemetry,
): Promise<ReceivedMirror> {
  const settings = bothSettings(env);
  const { databaseFile, namedFile, published } = openSyncStorage(settings.sqlite);
  const fileOf = (name: string | undefined) => (name === undefined ? databaseFile : namedFile(name));
  const sqlite = await loadSqlite();
  const files = openTarget({ settings: settings.sqlite, sqlite, fileOf, documents: published, telemetry });
  const server = openPostgresMirror(settings.postgres.postgres!, sqlite, settings.postgres.app);
  try {
    if (to === 'sqlite') {
      const configs = new Map(entitiesOf(settings.sqlite).map((one) => [one.name, one]));
      return await server.withContents((contents) => files.receive(contents, configs));
    }
    const { state } = await files.loadState();
    if (state.databaseEtag === undefined) throw noMirror(settings.sqlite);
    const { sync, databaseName } = settings.sqlite;
    const contents: MirrorContents = await SqliteContents.open(state, databaseNameOf(databaseName), fileOf, {
      cacheBytes: sync.cacheBytes,
    });
    try {
      return await server.receive(contents);
    } finally {
      await contents.close();
    }
  } finally {
    await server.close();
  }
}

function noMirror({ containers, databaseName }: Settings): ConfigurationError {
  return new ConfigurationError(
    `There is no database ${databaseName} in the container ${containers.database}.`,
    {
      operation: 'move the mirror',
      object: databaseName,
      hint: 'Check SYNC_DATABASE_CONTAINER, SYNC_DATABASE_NAME and the storage account. Before the first sync there is nothing to move.',
    },
  );
}

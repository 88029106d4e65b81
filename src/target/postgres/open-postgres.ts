import type { PostgresSettings } from '../../config/postgres/postgres-settings.ts';
import type { Sqlite } from '../../sqlite/sqlite.ts';
import { Connections } from './connection/connections.ts';
import { connectionTo } from './connection/sign-in.ts';
import { PostgresMirror } from './postgres-mirror.ts';
import { PostgresReads } from './postgres-reads.ts';

/** What pages read where the settings say. It connects when something is read. */
export function openPostgresReads(settings: PostgresSettings): PostgresReads {
  return new PostgresReads(new Connections(connectionTo(settings.address, settings)));
}

/** The mirror where the settings say. @param sqlite for shards @param app that writes it */
export function openPostgresMirror(settings: PostgresSettings, sqlite: Sqlite, app: string): PostgresMirror {
  const { address, distributeRows } = settings;
  return new PostgresMirror({ sqlite, app, distributeRows, connection: connectionTo(address, settings) });
}

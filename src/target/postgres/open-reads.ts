import type { PostgresSettings } from '../../config/postgres/postgres-settings.ts';
import { Connections } from './connection/connections.ts';
import { connectionTo } from './connection/sign-in.ts';
import { PostgresReads } from './postgres-reads.ts';

/** What pages read where the settings say. It connects when something is read. */
export function openPostgresReads(settings: PostgresSettings): PostgresReads {
  return new PostgresReads(new Connections(connectionTo(settings.address, settings)));
}

import type { Settings } from '../config/settings.ts';
import type { Sqlite } from '../sqlite/sqlite.ts';
import type { DatabaseFile } from '../storage/database/database-file.ts';
import { databaseNameOf } from '../storage/database/database-names.ts';
import type { DocumentStore } from '../storage/document-store.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { MirrorTarget } from './mirror-target.ts';
import { openPostgresMirror } from './postgres/open-postgres.ts';
import { SqliteMirror } from './sqlite/sqlite-mirror.ts';

/** What targets are made of. Each takes what it needs. */
export interface TargetParts {
  settings: Settings;
  sqlite: Sqlite;
  /** The file of a database that entities.json names; undefined for the default one. */
  fileOf: (name: string | undefined) => DatabaseFile;
  /** The container that people and programs read. */
  documents: DocumentStore;
  telemetry: Telemetry;
}

/** The mirror where `SYNC_TARGET` says. Another target is a folder beside these, and one more case here. */
export function openTarget({ settings, sqlite, fileOf, documents, telemetry }: TargetParts): MirrorTarget {
  const { postgres, databaseName, sync } = settings;
  if (postgres !== undefined) return openPostgresMirror(postgres, sqlite, settings.app);
  return new SqliteMirror({
    sqlite,
    file: fileOf(undefined),
    named: { defaultName: databaseNameOf(databaseName), fileOf },
    documents,
    maxBytes: sync.databaseMaxBytes,
    cacheBytes: sync.cacheBytes,
    checkHours: sync.checkHours,
    telemetry,
  });
}

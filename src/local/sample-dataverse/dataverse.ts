import type { MetadataDocument } from './metadata/metadata-document.ts';
import type { SchemaEditor } from './metadata/schema-editor.ts';
import type { SampleDataverseOptions } from './options.ts';
import type { Store } from './rows/store.ts';
import type { Roles } from './security/roles.ts';
import type { FileRoutes } from './write/file-routes.ts';

/** What was served since the start. */
export interface SampleDataverseStats {
  requests: number;
  /** Bytes of bodies on the wire. */
  bytes: number;
  rows: number;
  /** Responses by status code. */
  statuses: Record<string, number>;
  /** Requests that came before the `Retry-After` of a 429 or 503 had passed. */
  earlyRequests: number;
}

/** One emulated organization: what every request handler works on. */
export interface Dataverse {
  store: Store;
  options: SampleDataverseOptions;
  stats: SampleDataverseStats;
  schema: SchemaEditor;
  files: FileRoutes;
  metadata: MetadataDocument;
  roles: Roles;
}

import type { Fragment } from './http/fragment.ts';
import type { SchemaEditor } from './metadata/schema-editor.ts';
import type { SampleDataverseOptions } from './options.ts';
import type { Store } from './rows/store.ts';
import type { FileRoutes } from './write/file-routes.ts';

/** What has been served since the start. */
export interface SampleDataverseStats {
  requests: number;
  /** Bytes of bodies as they went over the wire. */
  bytes: number;
  rows: number;
  /** Answers by status code. */
  statuses: Record<string, number>;
  /** Requests that came before the `Retry-After` of a 429 or 503 had passed. */
  earlyRequests: number;
}

/** One emulated organisation: what every request handler works on. */
export interface Dataverse {
  store: Store;
  options: SampleDataverseOptions;
  stats: SampleDataverseStats;
  schema: SchemaEditor;
  files: FileRoutes;
  /** The real document that is served as it is. */
  document: Fragment | undefined;
  /** The `$metadata` document; made again after each change of the schema. */
  metadataDocument(annotations: boolean): Fragment;
}

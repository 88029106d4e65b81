import type { Dataverse } from './dataverse.ts';
import { MetadataDocument } from './metadata/metadata-document.ts';
import { SchemaEditor } from './metadata/schema-editor.ts';
import type { SampleDataverseOptions } from './options.ts';
import { buildStore } from './rows/build-store.ts';
import { Roles } from './security/roles.ts';
import { FileRoutes } from './write/file-routes.ts';

/** Opens an organization that can answer requests, without a server. */
export function openDataverse(options: SampleDataverseOptions): Dataverse {
  const { store, document } = buildStore(options);
  const metadata = new MetadataDocument(store, document);
  return {
    store,
    options,
    stats: { requests: 0, bytes: 0, rows: 0, statuses: {}, earlyRequests: 0 },
    schema: new SchemaEditor(store, metadata),
    files: new FileRoutes(store),
    metadata,
    roles: new Roles(),
  };
}

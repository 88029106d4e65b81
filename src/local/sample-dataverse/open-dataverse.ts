import type { Dataverse } from './dataverse.ts';
import { Fragment } from './http/fragment.ts';
import { writeCsdl } from './metadata/csdl-writer.ts';
import { SchemaEditor } from './metadata/schema-editor.ts';
import type { SampleDataverseOptions } from './options.ts';
import { buildStore } from './rows/build-store.ts';
import { FileRoutes } from './write/file-routes.ts';

/** An organisation ready to answer, without a server before it. */
export function openDataverse(options: SampleDataverseOptions): Dataverse {
  const { store, document } = buildStore(options);
  let written: { version: bigint; documents: Map<boolean, Fragment> } | undefined;
  const dataverse: Omit<Dataverse, 'schema'> = {
    store,
    options,
    stats: { requests: 0, bytes: 0, rows: 0, statuses: {}, earlyRequests: 0 },
    files: new FileRoutes(),
    document: document === undefined ? undefined : new Fragment(document),
    metadataDocument(annotations) {
      if (this.document !== undefined) return this.document;
      if (written?.version !== store.metadataVersion) {
        written = { version: store.metadataVersion, documents: new Map() };
      }
      const made = written.documents.get(annotations) ?? new Fragment(writeCsdl(store.model, annotations));
      written.documents.set(annotations, made);
      return made;
    },
  };
  const whole = dataverse as Dataverse;
  whole.schema = new SchemaEditor(whole);
  return whole;
}

import { buildStore } from './build-store.ts';
import { writeCsdl } from './csdl-writer.ts';
import type { Dataverse } from './dataverse.ts';
import { Fragment } from './fragment.ts';
import type { SampleDataverseOptions } from './options.ts';

/** An organisation ready to answer, without a server before it. */
export function openDataverse(options: SampleDataverseOptions): Dataverse {
  const { store, document } = buildStore(options);
  const verbatim = document === undefined ? undefined : new Fragment(document);
  let written: { version: bigint; documents: Map<boolean, Fragment> } | undefined;
  return {
    store,
    options,
    stats: { requests: 0, bytes: 0, rows: 0, statuses: {}, earlyRequests: 0 },
    metadataDocument(annotations) {
      if (verbatim !== undefined) return verbatim;
      if (written?.version !== store.metadataVersion) {
        written = { version: store.metadataVersion, documents: new Map() };
      }
      const document =
        written.documents.get(annotations) ?? new Fragment(writeCsdl(store.model, annotations));
      written.documents.set(annotations, document);
      return document;
    },
  };
}

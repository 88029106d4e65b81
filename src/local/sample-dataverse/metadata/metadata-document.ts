import { Fragment } from '../http/fragment.ts';
import type { Store } from '../rows/store.ts';
import { writeCsdl } from './csdl-writer.ts';

/** The `$metadata` document: a real one as it is, or one written from the model. */
export class MetadataDocument {
  readonly #store: Store;
  /** Served unchanged. */
  #real: Fragment | undefined;
  #written: { version: bigint; documents: Map<boolean, Fragment> } | undefined;

  constructor(store: Store, real: Buffer | undefined) {
    this.#store = store;
    if (real !== undefined) this.replace(real);
  }

  replace(real: Buffer): void {
    this.#real = new Fragment(real);
  }

  /** Written documents are kept until the schema changes. */
  read(annotations: boolean): Fragment {
    if (this.#real !== undefined) return this.#real;
    const { model, metadataVersion } = this.#store;
    if (this.#written?.version !== metadataVersion) {
      this.#written = { version: metadataVersion, documents: new Map() };
    }
    const { documents } = this.#written;
    const document = documents.get(annotations) ?? new Fragment(writeCsdl(model, annotations));
    documents.set(annotations, document);
    return document;
  }
}

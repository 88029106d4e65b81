import { ConfigurationError } from '../../errors.ts';
import type { StoredFile } from '../../storage/database/database-file.ts';
import { LocalDatabase } from '../../storage/folder/local-database.ts';
import type { MirrorSource } from './mirror-source.ts';

/** A file on this machine. */
export class LocalSource implements MirrorSource {
  readonly name: string;
  readonly #file: LocalDatabase;

  constructor(path: string) {
    this.name = path;
    this.#file = new LocalDatabase(path);
  }

  async open(): Promise<StoredFile> {
    const state = await this.#file.open();
    if (typeof state !== 'string') return state;
    throw new ConfigurationError(`There is no file ${this.name}.`, {
      operation: 'open the mirror',
      object: this.name,
      hint: 'Name a SQLite file that a sync has made.',
    });
  }
}

import { isUtf8 } from 'node:buffer';
import { hash } from 'node:crypto';
import { RetriableError, SyncError } from '../errors.ts';
import type { Column } from '../schema/table.ts';
import { lowerCase, type RecordBinder, recordBinder } from './record-binder.ts';
import { ESCAPED, NULL, RecordScanner, STRING } from './record-scanner.ts';
import { DigestSum } from './row-digest.ts';
import { quoted, type SqliteDatabase } from './sqlite-database.ts';

export interface RecordWriterOptions {
  /** The table's columns, each with the JSON property that it is read from. */
  columns: readonly Column[];
  /** The JSON property that every row has. */
  primaryKey: string;
  /** A column that takes the record's own bytes as text. */
  rawJson?: string;
  /**
   * Gets a record that lacks the key, as bytes: a delta's tombstone, whose id it returns for the table
   * `deleted`. Undefined means that it is none, which is an error: no record is skipped.
   */
  keyless?: (record: Uint8Array) => { id: string } | undefined;
  /** A property whose greatest text is wanted in `max`. */
  maxOf?: string;
}

const etagProperty = '@odata.etag';
const versionProperty = 'versionnumber';

/** Writes pages of JSON records into a table of a shard. */
export class RecordWriter {
  readonly #database: SqliteDatabase;
  readonly #options: RecordWriterOptions;
  readonly #scanner: RecordScanner;
  readonly #binder: RecordBinder;
  readonly #keySlot: number;
  readonly #keyIsGuid: boolean;
  readonly #etagSlot: number;
  readonly #etagIsColumn: boolean;
  readonly #versionSlot: number;
  readonly #maxSlot: number;
  readonly #digest = new DigestSum();
  /** `key|version` of the current row. */
  #keyAndVersion = Buffer.alloc(256);
  #max: Buffer | undefined;
  #finished = false;
  rows = 0;
  deleted = 0;

  /** Use `Shard.recordWriter`. */
  constructor(database: SqliteDatabase, name: string, options: RecordWriterOptions) {
    this.#database = database;
    this.#options = options;
    const read = options.columns.filter((column) => column.property !== undefined);
    const properties = read.map((column) => column.property!);
    if (new Set(properties).size < properties.length) {
      throw new SyncError(`two columns of ${name} are read from one property`, { object: name });
    }
    const slot = (property: string) => {
      const known = properties.indexOf(property);
      return known >= 0 ? known : properties.push(property) - 1;
    };
    this.#keySlot = slot(options.primaryKey);
    this.#keyIsGuid = read[this.#keySlot]?.reading === 'guid';
    this.#etagSlot = slot(etagProperty);
    this.#etagIsColumn = this.#etagSlot < read.length;
    this.#versionSlot = slot(versionProperty);
    this.#maxSlot = options.maxOf === undefined ? -1 : slot(options.maxOf);
    this.#scanner = new RecordScanner(properties);

    const extra = options.rawJson === undefined ? ['_version'] : ['_version', options.rawJson];
    database.exec(
      `CREATE TABLE ${quoted(name)} (${[
        ...options.columns.map(definition),
        ...extra.map((column) => `${quoted(column)} TEXT`),
      ].join(', ')})`,
    );
    database.exec('CREATE TABLE IF NOT EXISTS deleted (id TEXT)');
    const names = [...read.map((column) => column.name), ...extra].map(quoted);
    this.#binder = recordBinder(database, {
      insert: `INSERT INTO ${quoted(name)} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`,
      columns: read,
      slots: read.map((_, index) => index),
      rawJson: options.rawJson !== undefined,
    });
  }

  /**
   * Writes the records in `body[start, end)`: JSON objects between commas, any white space.
   * All of them or none: after an error the table is as it was.
   * @throws RetriableError where the JSON is malformed, naming the byte
   */
  write(body: Uint8Array, start: number, end: number): { rows: number; deleted: number } {
    if (this.#finished) throw new SyncError('the writer is finished', { operation: 'write records' });
    let page = Buffer.from(body.buffer, body.byteOffset + start, end - start);
    // JSON is UTF-8 (RFC 8259); other bytes would stand in the database as text that no reader can decode.
    if (!isUtf8(page)) page = Buffer.from(page.toString('utf8'));
    const before = { rows: this.rows, deleted: this.deleted, max: this.#max };
    const digest = this.#digest.save();
    try {
      this.#binder.begin(page);
      this.#database.transaction(() => this.#writeAll(page));
    } catch (error) {
      this.rows = before.rows;
      this.deleted = before.deleted;
      this.#max = before.max;
      this.#digest.restore(digest);
      throw error;
    } finally {
      this.#binder.end();
    }
    return { rows: this.rows - before.rows, deleted: this.deleted - before.deleted };
  }

  /** Ends the writing. */
  finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#binder.close();
  }

  /**
   * The digest of `(key, version)` over all rows written, which does not depend on their order; `rowDigest`
   * and `addDigests` make the same from the shard's key and `_version` columns.
   */
  get digest(): string {
    return this.#digest.toString();
  }

  /** The greatest text of the `maxOf` property, by the order of its UTF-8 bytes. */
  get max(): string | undefined {
    return this.#max?.toString();
  }

  #writeAll(page: Buffer): void {
    const scanner = this.#scanner;
    const keySlot = this.#keySlot;
    scanner.begin(page, 0, page.length);
    while (scanner.next()) {
      if (scanner.kinds[keySlot]! <= NULL) {
        this.#writeKeyless(page.subarray(scanner.recordStart, scanner.recordEnd));
        continue;
      }
      const keyLength = this.#copyKey(page);
      this.#writeVersioned(page, keyLength);
      if (this.#maxSlot >= 0) this.#noteMax(page);
      this.rows += 1;
    }
  }

  #writeKeyless(record: Buffer): void {
    const found = this.#options.keyless?.(record);
    if (found === undefined) {
      const { primaryKey } = this.#options;
      throw new RetriableError(`the record at byte ${this.#scanner.recordStart} has no ${primaryKey}`, {
        operation: 'write records',
        object: primaryKey,
        hint: 'every row should carry its key, and every other entry of a delta should be a deletion',
      });
    }
    this.#database.run('INSERT INTO deleted VALUES (?)', [found.id]);
    this.deleted += 1;
  }

  /** Inserts the record with its version, and adds it to the digest. */
  #writeVersioned(page: Buffer, keyLength: number): void {
    const scanner = this.#scanner;
    const { kinds, starts, ends } = scanner;
    let version: string | undefined;
    let from = 0;
    let to = 0;
    const etagKind = kinds[this.#etagSlot]!;
    if (etagKind > NULL) {
      from = starts[this.#etagSlot]! + 4;
      to = ends[this.#etagSlot]! - 2;
      // As all of Dataverse's etags are: W/\"digits\". Of a column the token is decoded in place.
      if (etagKind !== ESCAPED || this.#etagIsColumn || !isWeakNumber(page, from, to)) {
        const etag = scanner.text(this.#etagSlot);
        version = /^W\/"(\d+)"$/.exec(etag)?.[1] ?? etag;
      }
    } else if (kinds[this.#versionSlot]! > NULL) {
      version = scanner.text(this.#versionSlot);
    } else {
      // No version: the content stands for it.
      const record = page.subarray(scanner.recordStart, scanner.recordEnd);
      version = hash('sha256', record, 'hex').slice(0, 32);
    }
    this.#addToDigest(page, keyLength, version, from, to);
    this.#binder.insert(scanner, version, from, to);
  }

  /** Copies the key as it stands in the database and a bar into `#keyAndVersion`; returns their length. */
  #copyKey(page: Buffer): number {
    const slot = this.#keySlot;
    const scanner = this.#scanner;
    if (scanner.kinds[slot] !== STRING || scanner.ends[slot]! - scanner.starts[slot]! > 100) {
      const text = scanner.text(slot);
      const key = this.#keyIsGuid && scanner.isString(slot) ? lowerCase(text) : text;
      const bytes = Buffer.from(`${key}|`);
      if (bytes.length > this.#keyAndVersion.length) this.#keyAndVersion = Buffer.alloc(bytes.length * 2);
      bytes.copy(this.#keyAndVersion);
      return bytes.length;
    }
    const target = this.#keyAndVersion;
    const end = scanner.ends[slot]!;
    let length = 0;
    for (let i = scanner.starts[slot]!; i < end; i++) {
      const c = page[i]!;
      target[length++] = this.#keyIsGuid && c >= 0x41 && c <= 0x5a ? c + 0x20 : c;
    }
    target[length++] = 0x7c;
    return length;
  }

  #addToDigest(page: Buffer, keyLength: number, version: string | undefined, from: number, to: number): void {
    const bytes = version === undefined ? undefined : Buffer.from(version);
    const length = keyLength + (bytes?.length ?? to - from);
    if (length > this.#keyAndVersion.length) {
      this.#keyAndVersion = Buffer.concat([this.#keyAndVersion], length * 2);
    }
    const target = this.#keyAndVersion;
    if (bytes !== undefined) bytes.copy(target, keyLength);
    else for (let i = from, k = keyLength; i < to; i++, k++) target[k] = page[i]!;
    this.#digest.add(target.subarray(0, length));
  }

  #noteMax(page: Buffer): void {
    const slot = this.#maxSlot;
    const scanner = this.#scanner;
    const kind = scanner.kinds[slot]!;
    if (kind <= NULL) return;
    const value =
      kind === STRING
        ? page.subarray(scanner.starts[slot]!, scanner.ends[slot]!)
        : Buffer.from(scanner.text(slot));
    // A copy: the page does not stay.
    if (this.#max === undefined || value.compare(this.#max) > 0) this.#max = Buffer.from(value);
  }
}

/** A column of the shard's table. */
function definition(column: Column): string {
  if (column.property === undefined) {
    throw new SyncError(`column ${column.name} has no property to read it from`, { object: column.name });
  }
  return `${quoted(column.name)} ${column.type}`;
}

/** Whether the bytes from `from - 4` to `to + 2` are `W/\"digits\"`. */
function isWeakNumber(page: Buffer, from: number, to: number): boolean {
  if (to <= from || page[from - 4] !== 0x57 || page[from - 3] !== 0x2f) return false;
  if (page[from - 2] !== 0x5c || page[from - 1] !== 0x22 || page[to] !== 0x5c || page[to + 1] !== 0x22) {
    return false;
  }
  for (let i = from; i < to; i++) {
    const c = page[i]!;
    if (c < 0x30 || c > 0x39) return false;
  }
  return true;
}

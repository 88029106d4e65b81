import { isUtf8 } from 'node:buffer';
import { hash } from 'node:crypto';
import { RetriableError, SyncError } from '../errors.ts';
import { columnTypes } from '../schema/column-types.ts';
import { quoteIdentifier as quote } from '../schema/sql.ts';
import type { Column } from '../schema/table.ts';
import type { TableTree } from './file-format/table-tree.ts';
import { lowercase, lowercaseInPlace } from './json-string.ts';
import { ABSENT, NULL, STRING } from './json-tokens.ts';
import { RecordEncoder } from './record-encoder.ts';
import { RecordScanner } from './record-scanner.ts';
import { DigestSum } from './row-digest.ts';
import type { ShardFile } from './shard-file.ts';

// The engine builds on the table model: src/sqlite imports column types, columns and quoting from src/schema, and
// src/schema imports nothing from here. What is specific to Dataverse comes as an option.

export interface RecordWriterOptions {
  /** The columns of the table, each with the JSON property of its values. */
  columns: readonly Column[];
  /** The JSON property that every row has. */
  primaryKey: string;
  /** Where a record has its version. */
  version: VersionRule;
  /** A column for the bytes of the record, as text. */
  rawJson?: string;
  /**
   * Called with the bytes of a record without the key. Returns the id of the deleted row that it stands for, or
   * undefined, which is an error: the writer never skips a record.
   */
  keyless?: (record: Uint8Array) => { id: string } | undefined;
  /** A property whose greatest text is wanted in `max`. */
  maxOf?: string;
  /** Whether a member that differs from one property by letter case alone has its value. @default false */
  anyCase?: boolean;
  /** Whether `valuesDigest` is wanted: a hash of every byte of every record. */
  digestValues?: boolean;
}

/** How a record shows its version. Without any of the properties, a hash of the record is its version. */
export interface VersionRule {
  /** The first of these JSON properties with a value has the version. */
  properties: readonly string[];
  /** The text around the digits of a version, which is not stored: `W/"` and `"`. */
  prefix: string;
  suffix: string;
}

/** Writes pages of JSON records into a table of a shard. */
export class RecordWriter {
  readonly #open: () => ShardFile;
  readonly #table: TableTree;
  readonly #options: RecordWriterOptions;
  readonly #scanner: RecordScanner;
  readonly #encoder: RecordEncoder;
  /** How many slots of the scanner belong to columns. */
  readonly #columns: number;
  /** The slots of columns by their properties. */
  readonly #slotOf: ReadonlyMap<string, number>;
  readonly #keySlot: number;
  readonly #lowercaseKey: boolean;
  readonly #versionSlots: readonly number[];
  /** The text around the digits of a version, as in the page. */
  readonly #prefix: Buffer;
  readonly #suffix: Buffer;
  readonly #maxSlot: number;
  readonly #digest = new DigestSum();
  readonly #values: DigestSum | undefined;
  /** `key|version` of the current row. */
  #keyAndVersion = Buffer.alloc(256);
  #max: Buffer | undefined;
  /** Without its first zeros. */
  #maxVersion: Buffer | undefined;
  #finished = false;
  /** How many pages with rows had no row with the member, by slot. */
  readonly #pagesWithout: Uint32Array;
  /** The slots that no row of the current page has had. */
  readonly #unseen: number[] = [];
  /** Members of deletions. */
  readonly #ofDeletions = new Set<string>();
  /** Pages with rows. */
  pages = 0;
  rows = 0;
  deleted = 0;

  /** Use `Shard.recordWriter`. @param open the file to write to, each time that something is written */
  constructor(open: () => ShardFile, name: string, options: RecordWriterOptions) {
    this.#open = open;
    this.#options = options;
    const columns = options.columns.filter((column) => column.property !== undefined);
    const properties = columns.map((column) => column.property!);
    this.#slotOf = new Map(properties.map((property, slot) => [property, slot]));
    if (this.#slotOf.size < properties.length) {
      throw new SyncError(`Two columns of ${name} have the same property`, { object: name });
    }
    const slot = (property: string) => {
      const known = properties.indexOf(property);
      return known >= 0 ? known : properties.push(property) - 1;
    };
    this.#columns = columns.length;
    this.#keySlot = slot(options.primaryKey);
    const keyColumn = columns[this.#keySlot];
    this.#lowercaseKey = keyColumn !== undefined && columnTypes[keyColumn.reading].strings === 'lowercase';
    this.#versionSlots = options.version.properties.map(slot);
    this.#prefix = jsonBytes(options.version.prefix);
    this.#suffix = jsonBytes(options.version.suffix);
    this.#values = options.digestValues ? new DigestSum() : undefined;
    this.#maxSlot = options.maxOf === undefined ? -1 : slot(options.maxOf);
    this.#scanner = new RecordScanner(properties, { anyCase: options.anyCase });
    this.#pagesWithout = new Uint32Array(properties.length);

    const added = options.rawJson === undefined ? ['_version'] : ['_version', options.rawJson];
    const definitions = [
      ...options.columns.map(definition),
      ...added.map((column) => `${quote(column)} TEXT`),
    ];
    this.#table = open().addTable(name, definitions);
    this.#encoder = new RecordEncoder(
      columns.map((column) => columnTypes[column.reading]),
      { rawJson: options.rawJson !== undefined },
    );
  }

  /**
   * Writes the records in `body[start, end)`: JSON objects separated by commas, with any white space. Writes all of
   * them or none: after an error the table is as before.
   * @throws RetriableError with the position at which the JSON is broken
   */
  write(body: Uint8Array, start: number, end: number): { rows: number; deleted: number } {
    if (this.#finished) throw new SyncError('The writer is finished', { operation: 'write records' });
    let page = Buffer.from(body.buffer, body.byteOffset + start, end - start);
    // JSON is UTF-8 (RFC 8259). Other bytes would become text that no reader of the database can decode.
    if (!isUtf8(page)) page = Buffer.from(page.toString('utf8'));
    const before = { rows: this.rows, deleted: this.deleted, max: this.#max, maxVersion: this.#maxVersion };
    const digest = this.#digest.save();
    const values = this.#values?.save();
    const file = this.#open();
    const takeBack = file.mark(this.#table);
    try {
      this.#encoder.begin(page);
      this.#writeAll(page, file.deleted);
      if (this.rows > before.rows) this.#countPage();
    } catch (error) {
      takeBack();
      this.rows = before.rows;
      this.deleted = before.deleted;
      this.#max = before.max;
      this.#maxVersion = before.maxVersion;
      this.#digest.restore(digest);
      if (values !== undefined) this.#values?.restore(values);
      throw error;
    } finally {
      this.#encoder.end();
    }
    return { rows: this.rows - before.rows, deleted: this.deleted - before.deleted };
  }

  /** The writer cannot write after this. */
  finish(): void {
    this.#finished = true;
  }

  /** The digest of `(key, version)` over all rows, whatever their order: see `DigestSum`. */
  get digest(): string {
    return this.#digest.toString();
  }

  /** The digest of the records as they were sent, whatever their order; undefined unless it was wanted. */
  get valuesDigest(): string | undefined {
    return this.#values?.toString();
  }

  /** The greatest text of the `maxOf` property, in the order of its UTF-8 bytes. */
  get max(): string | undefined {
    return this.#max?.toString();
  }

  /** The greatest version, as a number of any length; undefined if no version is a number. */
  get maxVersion(): string | undefined {
    return this.#maxVersion?.toString();
  }

  /** How many pages had rows, and none with this property. */
  pagesWithout(property: string): number {
    const slot = this.#slotOf.get(property);
    return slot === undefined ? 0 : this.#pagesWithout[slot]!;
  }

  /** Members of rows that no column takes, without annotations; at most a hundred. */
  get unknownMembers(): string[] {
    return [...this.#scanner.unknown].filter((name) => !this.#ofDeletions.has(name));
  }

  #writeAll(page: Buffer, deleted: string[]): void {
    const scanner = this.#scanner;
    const keySlot = this.#keySlot;
    const unseen = this.#unseen;
    unseen.length = 0;
    for (let slot = 0; slot < this.#columns; slot++) unseen.push(slot);
    scanner.begin(page, 0, page.length);
    for (;;) {
      const unknown = scanner.unknown.size;
      if (!scanner.next()) break;
      if (scanner.kinds[keySlot]! <= NULL) {
        deleted.push(this.#idOfDeletion(page.subarray(scanner.recordStart, scanner.recordEnd)));
        this.deleted += 1;
        if (scanner.unknown.size > unknown) this.#noteOfDeletion(unknown);
        continue;
      }
      // Most pages have all members in their first row.
      if (unseen.length > 0) this.#noteSeen();
      this.#values?.add(page.subarray(scanner.recordStart, scanner.recordEnd));
      this.#writeRow(page, this.#copyKey(page));
      if (this.#maxSlot >= 0) this.#noteMax(page);
      this.rows += 1;
    }
  }

  #noteSeen(): void {
    const unseen = this.#unseen;
    const { kinds } = this.#scanner;
    for (let i = unseen.length - 1; i >= 0; i--) {
      if (kinds[unseen[i]!] === ABSENT) continue;
      unseen[i] = unseen.at(-1)!;
      unseen.pop();
    }
  }

  #countPage(): void {
    this.pages += 1;
    for (const slot of this.#unseen) this.#pagesWithout[slot]! += 1;
  }

  /** Deletions have members that rows do not have. */
  #noteOfDeletion(unknownBefore: number): void {
    for (const name of [...this.#scanner.unknown].slice(unknownBefore)) this.#ofDeletions.add(name);
  }

  #idOfDeletion(record: Buffer): string {
    const found = this.#options.keyless?.(record);
    if (found === undefined) {
      const { primaryKey } = this.#options;
      throw new RetriableError(`The record at byte ${this.#scanner.recordStart} has no ${primaryKey}`, {
        operation: 'write records',
        object: primaryKey,
        hint: 'Every record must have its key or be a deletion. Check what the service sent.',
      });
    }
    return found.id;
  }

  /** Inserts the record with its version and adds it to the digest. */
  #writeRow(page: Buffer, keyLength: number): void {
    const scanner = this.#scanner;
    const slot = this.#versionSlot();
    let version: string | undefined;
    let from = 0;
    let to = 0;
    if (slot === undefined) {
      const record = page.subarray(scanner.recordStart, scanner.recordEnd);
      version = hash('sha256', record, 'hex').slice(0, 32);
    } else {
      from = scanner.starts[slot]! + this.#prefix.length;
      to = scanner.ends[slot]! - this.#suffix.length;
      // The usual case takes the digits as bytes from the page.
      if (!this.#surroundsDigits(page, from, to)) {
        version = unwrapped(scanner.text(slot), this.#options.version);
      } else this.#noteVersion(page, from, to);
    }
    this.#addToDigest(page, keyLength, version, from, to);
    const row = this.#encoder.encode(scanner, version, from, to);
    this.#table.append(row.bytes, row.start, row.end);
  }

  #versionSlot(): number | undefined {
    const { kinds } = this.#scanner;
    for (const slot of this.#versionSlots) if (kinds[slot]! > NULL) return slot;
    return undefined;
  }

  /** Whether `page[from, to)` is digits, after the prefix and before the suffix of a version. */
  #surroundsDigits(page: Buffer, from: number, to: number): boolean {
    if (
      to <= from ||
      !isAt(page, this.#prefix, from - this.#prefix.length) ||
      !isAt(page, this.#suffix, to)
    ) {
      return false;
    }
    for (let i = from; i < to; i++) {
      const c = page[i]!;
      if (c < 0x30 || c > 0x39) return false;
    }
    return true;
  }

  /** Copies the key as the database stores it and a bar into `#keyAndVersion`. Returns their length. */
  #copyKey(page: Buffer): number {
    const slot = this.#keySlot;
    const scanner = this.#scanner;
    if (scanner.kinds[slot] !== STRING || scanner.ends[slot]! - scanner.starts[slot]! > 100) {
      const text = scanner.text(slot);
      const key = this.#lowercaseKey && scanner.isString(slot) ? lowercase(text) : text;
      const bytes = Buffer.from(`${key}|`);
      if (bytes.length > this.#keyAndVersion.length) this.#keyAndVersion = Buffer.alloc(bytes.length * 2);
      bytes.copy(this.#keyAndVersion);
      return bytes.length;
    }
    const target = this.#keyAndVersion;
    const length = page.copy(target, 0, scanner.starts[slot], scanner.ends[slot]);
    if (this.#lowercaseKey) lowercaseInPlace(target, 0, length);
    target[length] = 0x7c;
    return length + 1;
  }

  #addToDigest(page: Buffer, keyLength: number, version: string | undefined, from: number, to: number): void {
    const bytes = version === undefined ? undefined : Buffer.from(version);
    const length = keyLength + (bytes?.length ?? to - from);
    if (length > this.#keyAndVersion.length) {
      this.#keyAndVersion = Buffer.concat([this.#keyAndVersion], length * 2);
    }
    if (bytes === undefined) page.copy(this.#keyAndVersion, keyLength, from, to);
    else bytes.copy(this.#keyAndVersion, keyLength);
    this.#digest.add(this.#keyAndVersion.subarray(0, length));
  }

  /** Notes the digits in `page[from, to)` if they are the greatest version so far. */
  #noteVersion(page: Buffer, from: number, to: number): void {
    const known = this.#maxVersion;
    let start = from;
    while (start < to - 1 && page[start] === 0x30) start++;
    const isGreater =
      known === undefined ||
      to - start > known.length ||
      (to - start === known.length && page.compare(known, 0, known.length, start, to) > 0);
    // A copy, because the page is released.
    if (isGreater) this.#maxVersion = Buffer.from(page.subarray(start, to));
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
    // A copy, because the page is released.
    if (this.#max === undefined || value.compare(this.#max) > 0) this.#max = Buffer.from(value);
  }
}

/** A column of the table. */
function definition(column: Column): string {
  if (column.property === undefined) {
    throw new SyncError(`Column ${column.name} has no JSON property`, { object: column.name });
  }
  return `${quote(column.name)} ${column.type}`;
}

/** The digits of a version without its prefix and suffix; any other text as it is. */
function unwrapped(text: string, { prefix, suffix }: VersionRule): string {
  const inner = text.slice(prefix.length, text.length - suffix.length);
  return text === `${prefix}${inner}${suffix}` && /^\d+$/.test(inner) ? inner : text;
}

/** A text as JSON writes it inside quotes. */
function jsonBytes(text: string): Buffer {
  return Buffer.from(JSON.stringify(text).slice(1, -1));
}

function isAt(page: Buffer, bytes: Buffer, at: number): boolean {
  for (let i = 0; i < bytes.length; i++) if (page[at + i] !== bytes[i]) return false;
  return true;
}

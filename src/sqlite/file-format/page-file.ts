/**
 * The pages of a SQLite database file, in memory (sqlite.org: Database File Format). Page 1 has the file's header and the
 * schema. Numbers in the file are big-endian.
 */

/** The size of the header on page 1. */
export const headerSize = 100;

/** The file of a slice in which little changed needs no more. */
const firstCapacity = 128 * 1024;

/** Memory costs nothing before it is touched, and the file of most full slices fits without being copied again. */
const fullCapacity = 64 * 1024 * 1024;

/**
 * The memory of a file that is done, for the next one: new memory takes the system longer than its first use takes us.
 * One is enough, because most slices have one page, and nothing waits between its first row and the end of the file.
 */
let spare: ArrayBuffer | undefined;

/** What the header names as the version of SQLite that wrote the file, 3.54.1. Nothing depends on it. */
const writerVersion = 3_054_001;

export class PageFile {
  /** In bytes. */
  readonly pageSize: number;
  /** How many pages there are. Lower it to give back the last ones. */
  pageCount = 1;
  /** The file, and behind it room to grow. Becomes another buffer if the file outgrows it. */
  bytes: Buffer = Buffer.alloc(0);
  view: DataView = new DataView(this.bytes.buffer);
  readonly #capacity: number;

  /**
   * @param pageSize a power of two from 512 to 65,536
   * @param capacity the memory once the file is not small, in bytes
   */
  constructor(pageSize: number, capacity = fullCapacity) {
    this.pageSize = pageSize;
    this.#capacity = capacity;
  }

  /** The offset of a page in the file. */
  startOf(page: number): number {
    return (page - 1) * this.pageSize;
  }

  /** Adds a page at the end. It may hold bytes of another file: write all of it. @returns its number */
  allocate(): number {
    const page = pageAfter(this.pageCount, this.pageSize);
    const end = page * this.pageSize;
    if (end > this.bytes.length) this.#grow(end);
    // The page of the lock byte remains empty.
    if (page > this.pageCount + 1) this.bytes.fill(0, this.pageCount * this.pageSize, this.startOf(page));
    this.pageCount = page;
    return page;
  }

  #grow(length: number): void {
    const old = this.bytes;
    const isFirst = old.length === 0 && length <= firstCapacity;
    const capacity = isFirst ? Math.min(firstCapacity, this.#capacity) : this.#capacity;
    const wanted = Math.max(length, capacity, 2 * old.length);
    let memory = wanted === spare?.byteLength ? spare : undefined;
    if (memory !== undefined) spare = undefined;
    // Every byte of a page is written before it is read.
    memory ??= Buffer.allocUnsafeSlow(wanted).buffer as ArrayBuffer;
    this.bytes = Buffer.from(memory);
    this.view = new DataView(memory);
    this.bytes.set(old.subarray(0, this.pageCount * this.pageSize));
  }

  /** Writes the header for the pages that there are. @returns the file, which is not a copy */
  finish(): Buffer {
    const { bytes, view, pageSize, pageCount } = this;
    bytes.fill(0, 0, headerSize);
    bytes.write('SQLite format 3\0', 'latin1');
    view.setUint16(16, pageSize === 65536 ? 1 : pageSize);
    // Rollback journal, no reserved bytes, and the three fractions that the format prescribes.
    bytes.set([1, 1, 0, 64, 32, 32], 18);
    const changeCounter = 1;
    view.setUint32(24, changeCounter);
    view.setUint32(28, pageCount);
    const schemaCookie = 1;
    view.setUint32(40, schemaCookie);
    const schemaFormat = 4;
    view.setUint32(44, schemaFormat);
    const utf8 = 1;
    view.setUint32(56, utf8);
    // The page count is valid if this equals the change counter.
    view.setUint32(92, changeCounter);
    view.setUint32(96, writerVersion);
    return bytes.subarray(0, pageCount * pageSize);
  }

  /** Releases the memory. Nothing may use the file any more. */
  close(): void {
    if (this.bytes.length === fullCapacity) spare = this.bytes.buffer as ArrayBuffer;
    this.bytes = Buffer.alloc(0);
    this.view = new DataView(this.bytes.buffer, 0, 0);
  }
}

/** SQLite keeps locks in the byte at 2^30 and never uses the page around it. */
export function pageAfter(page: number, pageSize: number): number {
  return page * pageSize === 2 ** 30 ? page + 2 : page + 1;
}

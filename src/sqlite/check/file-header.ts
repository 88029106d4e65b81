import { uint16, uint32 } from './btree-page.ts';

/** The bytes of the header on the first page. */
export const fileHeaderSize = 100;

/** What the header of a database file says (sqlite.org: Database File Format, "The Database Header"). */
export interface FileHeader {
  pageSize: number;
  /** The bytes of a page that SQLite uses. */
  usable: number;
  /** Undefined if the header does not say it: then the length of the file does. */
  pageCount: number | undefined;
  freelist: { first: number; pages: number };
  /** Whether pages at fixed places point back to the pages that use a page. */
  hasPointerMaps: boolean;
}

/** @returns undefined if these are not the first bytes of a database */
export function readFileHeader(bytes: Uint8Array): FileHeader | undefined {
  if (bytes.length < fileHeaderSize) return undefined;
  if (Buffer.from(bytes.subarray(0, 16)).toString('latin1') !== 'SQLite format 3\0') return undefined;
  const size = uint16(bytes, 16);
  const pageSize = size === 1 ? 65_536 : size;
  const usable = pageSize - bytes[20]!;
  const isPower = pageSize >= 512 && (pageSize & (pageSize - 1)) === 0;
  if (!isPower || usable < 480) return undefined;
  const pageCount = uint32(bytes, 28);
  // The count is of the change that this number names.
  const isCounted = pageCount > 0 && uint32(bytes, 24) === uint32(bytes, 92);
  return {
    pageSize,
    usable,
    pageCount: isCounted ? pageCount : undefined,
    freelist: { first: uint32(bytes, 32), pages: uint32(bytes, 36) },
    hasPointerMaps: uint32(bytes, 52) !== 0,
  };
}

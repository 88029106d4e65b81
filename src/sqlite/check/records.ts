import { sqliteVarint, varintEnd } from './varints.ts';

const smallSizes = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0];

/** The bytes of a value with this serial type; undefined for the two types that no file has. */
function sizeOf(type: number): number | undefined {
  if (type < 10) return smallSizes[type];
  return type < 12 ? undefined : (type - 12 - (type & 1)) / 2;
}

/**
 * Whether the header of a record describes exactly its payload, as SQLite requires (sqlite.org: Database File Format,
 * "Record Format"). True for a header of which a part is on overflow pages: nobody has looked at it then.
 * @param at where the record begins
 * @param local the bytes of the payload on the page
 * @param payload the bytes of the whole payload
 */
export function isRecord(bytes: Uint8Array, at: number, local: number, payload: number): boolean {
  const header = sqliteVarint(bytes, at);
  if (header > payload) return false;
  if (header > local) return true;
  const end = at + header;
  let next = varintEnd;
  let size = header;
  while (next < end) {
    const type = bytes[next]!;
    if (type < 10) {
      size += smallSizes[type]!;
      next += 1;
      continue;
    }
    const length = sizeOf(sqliteVarint(bytes, next));
    if (length === undefined) return false;
    size += length;
    next = varintEnd;
  }
  return next === end && size === payload;
}

/** NULL, numbers, texts, blobs: in the order of an index. */
function rankOf(type: number): number {
  if (type === 0) return 0;
  if (type < 10) return 1;
  return type % 2 === 1 ? 2 : 3;
}

/**
 * Whether the record at `first` certainly does not come before the one at `second` in an ascending index with binary
 * comparison. Both must be whole, and on the page.
 */
export function isOutOfOrder(bytes: Uint8Array, first: number, second: number): boolean {
  const firstEnd = first + sqliteVarint(bytes, first);
  let a = varintEnd;
  const secondEnd = second + sqliteVarint(bytes, second);
  let b = varintEnd;
  let aValue = firstEnd;
  let bValue = secondEnd;
  while (a < firstEnd && b < secondEnd) {
    const aType = sqliteVarint(bytes, a);
    a = varintEnd;
    const bType = sqliteVarint(bytes, b);
    b = varintEnd;
    const rank = rankOf(aType);
    const difference = rank - rankOf(bType);
    if (difference !== 0) return difference > 0;
    const aSize = sizeOf(aType) ?? 0;
    const bSize = sizeOf(bType) ?? 0;
    if (rank === 1) {
      // Numbers of eight bytes are not exact here.
      if (aSize === 8 || bSize === 8) return false;
      const order = integer(bytes, aValue, aType) - integer(bytes, bValue, bType);
      if (order !== 0) return order > 0;
    } else if (rank > 1) {
      const length = Math.min(aSize, bSize);
      let same = 0;
      while (same < length && bytes[aValue + same] === bytes[bValue + same]) same += 1;
      if (same < length) return bytes[aValue + same]! > bytes[bValue + same]!;
      if (aSize !== bSize) return aSize > bSize;
    }
    aValue += aSize;
    bValue += bSize;
  }
  // The last column of an index is the number of the row: no two entries are equal.
  return true;
}

function integer(bytes: Uint8Array, at: number, type: number): number {
  if (type >= 8) return type - 8;
  const size = smallSizes[type]!;
  let value = (bytes[at]! << 24) >> 24;
  for (let n = 1; n < size; n += 1) value = value * 256 + bytes[at + n]!;
  return value;
}

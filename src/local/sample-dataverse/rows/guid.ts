/**
 * The text by which GUIDs are ordered as SQL Server orders `uniqueidentifier`: last group first, then the
 * fourth, then the first three with their bytes reversed. Dataverse pages by primary key in this order, so
 * rows do not come in the order of their ids' text.
 */
export function guidOrderKey(guid: string): string {
  const g = guid.toLowerCase();
  return (
    g.slice(24, 36) +
    g.slice(19, 23) +
    g.slice(16, 18) +
    g.slice(14, 16) +
    g.slice(11, 13) +
    g.slice(9, 11) +
    g.slice(6, 8) +
    g.slice(4, 6) +
    g.slice(2, 4) +
    g.slice(0, 2)
  );
}

const guidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function isGuid(text: string): boolean {
  return guidPattern.test(text);
}

/** The GUID that an order key was made from. */
export function guidOfOrderKey(key: string): string {
  const last = key.slice(0, 12);
  const fourth = key.slice(12, 16);
  const third = key.slice(18, 20) + key.slice(16, 18);
  const second = key.slice(22, 24) + key.slice(20, 22);
  const first = key.slice(30, 32) + key.slice(28, 30) + key.slice(26, 28) + key.slice(24, 26);
  return `${first}-${second}-${third}-${fourth}-${last}`;
}

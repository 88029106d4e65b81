/**
 * A text that sorts GUIDs as SQL Server sorts `uniqueidentifier`: by the last group, then the fourth, then the
 * first three with their bytes reversed. Dataverse pages by primary key in this order, which is not text order.
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

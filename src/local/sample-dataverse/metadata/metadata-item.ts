import { badRequest } from '../http/service-error.ts';
import { compileFilter, type Field } from '../query/filter.ts';
import { parseFilter } from '../query/filter-parser.ts';
import type { QueryOptions } from '../query/query-options.ts';
import type { Value } from '../rows/values.ts';

/** One thing of the metadata service: a table, a column, a relationship, a key. */
export interface MetadataItem {
  /** The short type name: `EntityMetadata`, `PicklistAttributeMetadata`. */
  type: string;
  properties: Record<string, unknown>;
  /** What `$expand` may open; made only when asked for. */
  navigations: Record<string, () => MetadataItem[] | MetadataItem | null>;
}

/** One item of a `$expand`, with its own options. */
interface Expansion {
  name: string;
  select?: string[] | undefined;
  filter?: string | undefined;
  expand?: string | undefined;
}

/**
 * Answers a query for metadata items: `$select`, `$filter` on primitive properties, `$expand`. There is no
 * paging, and `$orderby` and `$top` are refused (learn.microsoft.com: Query schema definitions).
 */
export function queryItems(items: readonly MetadataItem[], options: QueryOptions): Record<string, unknown>[] {
  if (options.orderBy !== undefined) throw badRequest('The query parameter $orderby is not supported');
  if (options.top !== undefined) throw badRequest('The query parameter $top is not supported');
  const kept = filterItems(items, options.filter, options.aliases);
  const expansions = parseExpand(options.expand);
  return kept.map((item) => shape(item, options.select, expansions));
}

export function shape(
  item: MetadataItem,
  select: readonly string[] | undefined,
  expansions: readonly Expansion[],
): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  if (item.type !== 'EntityMetadata') shown['@odata.type'] = `#Microsoft.Dynamics.CRM.${item.type}`;
  for (const name of select ?? Object.keys(item.properties)) {
    if (!(name in item.properties)) throw noSuchMetadata(name, item.type);
    shown[name] = item.properties[name];
  }
  // The id of the item is always there.
  shown['MetadataId'] = item.properties['MetadataId'];
  for (const expansion of expansions) {
    const open = item.navigations[expansion.name];
    if (open === undefined) throw noSuchMetadata(expansion.name, item.type);
    shown[expansion.name] = expanded(open(), expansion);
  }
  return shown;
}

function expanded(found: MetadataItem[] | MetadataItem | null, expansion: Expansion): unknown {
  const inner = parseExpand(expansion.expand);
  if (found === null) return null;
  if (!Array.isArray(found)) return shape(found, expansion.select, inner);
  return filterItems(found, expansion.filter, new Map()).map((item) => shape(item, expansion.select, inner));
}

function filterItems(
  items: readonly MetadataItem[],
  filter: string | undefined,
  aliases: ReadonlyMap<string, string>,
): readonly MetadataItem[] {
  if (filter === undefined) return items;
  const type = items[0]?.type ?? 'EntityMetadata';
  const sample = items[0]?.properties ?? {};
  const parsed = parseFilter(filter.replace(/Microsoft\.Dynamics\.CRM\.\w+('[^']*')/g, '$1'), aliases);
  const test = compileFilter(parsed, (path): Field<MetadataItem> => {
    const parts = path.split('/');
    if (!(parts[0]! in sample)) throw noSuchMetadata(parts[0]!, type);
    const read = (item: MetadataItem): Value =>
      parts.reduce<unknown>(
        (value, part) => (value as Record<string, unknown> | null)?.[part],
        item.properties,
      ) as Value;
    const first = items.map(read).find((value) => value !== null && value !== undefined);
    return { type: edmTypeOf(first, path), get: read };
  });
  return items.filter(test);
}

function edmTypeOf(value: unknown, path: string): string {
  if (typeof value === 'boolean') return 'Edm.Boolean';
  if (typeof value === 'number') return 'Edm.Int32';
  if (typeof value === 'object' && value !== null) {
    throw badRequest(`Filtering on the property '${path}' is not supported.`);
  }
  return path === 'MetadataId' ? 'Edm.Guid' : 'Edm.String';
}

function noSuchMetadata(name: string, type: string): Error {
  return badRequest(`Could not find a property named '${name}' on type 'Microsoft.Dynamics.CRM.${type}'.`);
}

/** `Attributes($select=LogicalName;$filter=…),Keys`. */
export function parseExpand(text: string | undefined): Expansion[] {
  if (text === undefined || text.trim() === '') return [];
  return splitOutside(text, ',').map((part) => {
    const open = part.indexOf('(');
    if (open < 0) return { name: part.trim() };
    const expansion: Expansion = { name: part.slice(0, open).trim() };
    for (const option of splitOutside(part.slice(open + 1, part.lastIndexOf(')')), ';')) {
      const at = option.indexOf('=');
      const value = option.slice(at + 1).trim();
      if (option.slice(0, at).trim() === '$select')
        expansion.select = value.split(',').map((name) => name.trim());
      if (option.slice(0, at).trim() === '$filter') expansion.filter = value;
      if (option.slice(0, at).trim() === '$expand') expansion.expand = value;
    }
    return expansion;
  });
}

/** Splits at a separator that stands outside brackets and quotes. */
function splitOutside(text: string, separator: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let quoted = false;
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === "'") quoted = !quoted;
    if (quoted) continue;
    if (char === '(') depth++;
    if (char === ')') depth--;
    if (char === separator && depth === 0) {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  parts.push(text.slice(start));
  return parts.filter((part) => part.trim() !== '');
}

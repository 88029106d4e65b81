import { badRequest, noSuchProperty } from '../http/service-error.ts';
import { compileFilter, type Field } from '../query/compile-filter.ts';
import { type Expansion, parseExpand } from '../query/options/parse-expand.ts';
import { parseFilter } from '../query/options/parse-filter.ts';
import type { QueryOptions } from '../query/options/query-options.ts';
import type { Value } from '../rows/values.ts';

/** An item of the metadata service: a table, a column, a relationship, a key. */
export interface MetadataItem {
  /** The short type name: `EntityMetadata`, `PicklistAttributeMetadata`. */
  type: string;
  properties: Record<string, unknown>;
  /** What `$expand` can open, made on demand. */
  navigations: Record<string, () => MetadataItem[] | MetadataItem | null>;
}

/**
 * Evaluates a query for metadata items: `$select`, `$filter` on primitive properties, `$expand`. As in the
 * service, there are no pages, and `$orderby` and `$top` are errors (learn.microsoft.com: Query schema definitions).
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
    if (!(name in item.properties)) throw noSuchProperty(name, item.type);
    shown[name] = item.properties[name];
  }
  // The service always returns the id.
  shown['MetadataId'] = item.properties['MetadataId'];
  for (const expansion of expansions) {
    const open = item.navigations[expansion.name];
    if (open === undefined) throw noSuchProperty(expansion.name, item.type);
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
    if (!(parts[0]! in sample)) throw noSuchProperty(parts[0]!, type);
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

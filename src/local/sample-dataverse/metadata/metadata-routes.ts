import { badRequest, noSuchSegment, ServiceError } from '../http/service-error.ts';
import { parseExpand } from '../query/options/parse-expand.ts';
import type { QueryOptions } from '../query/options/query-options.ts';
import { entityItems, lookupItems, manyToManyItems } from './entity-metadata.ts';
import { type MetadataItem, queryItems, shape } from './metadata-item.ts';
import type { Model } from './model.ts';
import { globalChoiceItems } from './writes/choice-writes.ts';

/** The result of a read of the metadata service: a list or one item. */
export interface MetadataAnswer {
  context: string;
  items?: Record<string, unknown>[];
  item?: Record<string, unknown>;
}

/**
 * Reads `EntityDefinitions` and `RelationshipDefinitions`: whole sets, items by key, collections of an item, and
 * casts to a derived type.
 */
export function readMetadata(
  model: Model,
  segments: readonly string[],
  options: QueryOptions,
): MetadataAnswer {
  const [root = '', ...rest] = segments;
  let found: MetadataItem[] | MetadataItem = rootItems(model, root);
  found = keyed(found, root);
  for (const segment of rest) found = step(found, segment);
  const context = segments.map((segment) => segment.replace(/\(LogicalName='([^']*)'\)/, "('$1')")).join('/');
  const inLanguages = <T>(value: T): T =>
    options.labelLanguages === undefined ? value : (labelsIn(value, options.labelLanguages) as T);
  if (Array.isArray(found)) return { context, items: inLanguages(queryItems(found, options)) };
  const item = shape(found, options.select, parseExpand(options.expand));
  return { context: `${context}/$entity`, item: inLanguages(item) };
}

/** The value with labels in these languages alone (learn.microsoft.com: Query table definitions, "Limit languages returned"). */
function labelsIn(value: unknown, languages: readonly number[]): unknown {
  if (Array.isArray(value)) return value.map((one) => labelsIn(one, languages));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      name === 'LocalizedLabels' && Array.isArray(member)
        ? member.filter(({ LanguageCode }) => languages.includes(LanguageCode))
        : labelsIn(member, languages),
    ]),
  );
}

function rootItems(model: Model, root: string): MetadataItem[] {
  const name = root.replace(/\(.*$/, '');
  if (name === 'EntityDefinitions') return entityItems(model);
  if (name === 'GlobalOptionSetDefinitions') return globalChoiceItems(model);
  if (name === 'RelationshipDefinitions')
    return [...manyToManyItems(model), ...lookupItems(model, () => true)];
  throw noSuchSegment(name);
}

function step(found: MetadataItem[] | MetadataItem, segment: string): MetadataItem[] | MetadataItem {
  const cast = /^Microsoft\.Dynamics\.CRM\.(\w+)$/.exec(segment)?.[1];
  if (cast !== undefined) return castTo(found, cast);
  if (Array.isArray(found)) throw noSuchSegment(segment);
  const name = segment.replace(/\(.*$/, '');
  const open = found.navigations[name];
  if (open === undefined) {
    if (!(name in found.properties)) throw noSuchSegment(name);
    return { type: name, properties: { value: found.properties[name] }, navigations: {} };
  }
  const next = open();
  if (next === null) throw new ServiceError(404, '0x80060888', `The ${name} of this item is empty.`);
  return Array.isArray(next) ? keyed(next, segment) : next;
}

/** The item with the key in a segment: `(LogicalName='account')`, `(SchemaName='…')` or `(<MetadataId>)`. */
function keyed(items: MetadataItem[], segment: string): MetadataItem[] | MetadataItem {
  const key = /\((.*)\)$/s.exec(segment)?.[1];
  if (key === undefined) return items;
  const named = /^(\w+)='(.*)'$/s.exec(key);
  const [property, value] = named === null ? ['MetadataId', key.toLowerCase()] : [named[1]!, named[2]!];
  const item = items.find((candidate) => candidate.properties[property] === value);
  if (item === undefined) {
    throw new ServiceError(404, '0x80060888', `Could not find an item with ${property} '${value}'.`);
  }
  return item;
}

function castTo(found: MetadataItem[] | MetadataItem, type: string): MetadataItem[] | MetadataItem {
  // The service does not cast to the base type of choices (learn.microsoft.com: Query schema definitions).
  if (type === 'EnumAttributeMetadata') throw badRequest(`Cannot cast to type '${type}'.`);
  if (Array.isArray(found)) return found.filter((item) => item.type === type);
  if (found.type !== type) throw new ServiceError(404, '0x80060888', `The item is not of type '${type}'.`);
  return found;
}

import { badRequest } from '../../http/service-error.ts';

/** The query options of a read. */
export interface QueryOptions {
  select?: string[];
  filter?: string;
  orderBy?: { property: string; descending: boolean }[];
  top?: number;
  count: boolean;
  expand?: string;
  apply?: string;
  fetchXml?: string;
  skipToken?: string;
  deltaToken?: string;
  annotations: boolean;
  /** Codes of the languages of labels in metadata. @default all */
  labelLanguages?: number[];
  /** Values of parameter aliases such as `@p1`. */
  aliases: Map<string, string>;
}

/** OData options that Dataverse does not support (learn.microsoft.com: Query data using the Web API). */
const unsupported = new Set(['$skip', '$search', '$format']);

export function parseQueryOptions(query: string): QueryOptions {
  const options: QueryOptions = { count: false, annotations: false, aliases: new Map() };
  for (const [name, value] of queryPairs(query)) {
    if (unsupported.has(name)) {
      throw badRequest(`The query parameter ${name} is not supported`);
    }
    if (name.startsWith('@')) options.aliases.set(name, value);
    else setOption(options, name, value);
  }
  return options;
}

function setOption(options: QueryOptions, name: string, value: string): void {
  switch (name) {
    case '$select':
      if (value.trim() !== '' && value.trim() !== '*')
        options.select = value.split(',').map((part) => part.trim());
      break;
    case '$filter':
      options.filter = value;
      break;
    case '$orderby':
      options.orderBy = value.split(',').map(parseOrder);
      break;
    case '$top':
      if (!/^\d+$/.test(value)) throw badRequest(`Invalid value '${value}' for $top query option found.`);
      options.top = Number(value);
      break;
    case '$count':
      options.count = value === 'true';
      break;
    case '$expand':
      options.expand = value;
      break;
    case '$apply':
      options.apply = value;
      break;
    case 'fetchXml':
      options.fetchXml = value;
      break;
    case '$skiptoken':
      options.skipToken = value;
      break;
    case '$deltatoken':
      options.deltaToken = value;
      break;
    case 'annotations':
      options.annotations = value === 'true';
      break;
    case 'LabelLanguages':
      options.labelLanguages = value.split(',').map(Number);
      break;
    default:
      if (name.startsWith('$')) throw badRequest(`The query parameter ${name} is not supported`);
  }
}

/** One part of `$orderby`. */
export function parseOrder(part: string): { property: string; descending: boolean } {
  const [property = '', direction = 'asc'] = part.trim().split(/\s+/);
  if (direction !== 'asc' && direction !== 'desc')
    throw badRequest(`Syntax error at position 0 in '${part}'.`);
  return { property, descending: direction === 'desc' };
}

/** The decoded name-value pairs of a query string. */
export function queryPairs(query: string): [string, string][] {
  if (query === '') return [];
  return query
    .split('&')
    .filter((part) => part !== '')
    .map((part) => {
      const at = part.indexOf('=');
      return at < 0 ? [decode(part), ''] : [decode(part.slice(0, at)), decode(part.slice(at + 1))];
    });
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw badRequest('Invalid URI: The format of the URI could not be determined.');
  }
}

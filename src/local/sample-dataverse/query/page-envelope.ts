import type { Preferences } from '../http/preferences.ts';
import type { Table } from '../metadata/model.ts';
import type { Store } from '../rows/store.ts';
import type { QueryOptions } from './options/query-options.ts';

export function contextOf(root: string, table: Table, options: QueryOptions): string {
  const select = options.select === undefined ? '' : `(${options.select.join(',')})`;
  return `${root}/$metadata#${table.entitySetName}${select}`;
}

/** A link to another page: the options of the query, without its own tokens, and the options in `more`. */
export function setLink(root: string, table: Table, query: string, more: readonly string[]): string {
  const kept = query
    .split('&')
    .filter((part) => part !== '' && !/^(\$|%24)(skiptoken|deltatoken)=/i.test(part));
  return `${root}/${table.entitySetName}?${[...kept, ...more].join('&')}`;
}

/** The annotations of a page itself, each followed by a comma. Empty unless the request asks for annotations. */
export function pageAnnotations(
  store: Store,
  preferences: Preferences,
  options: QueryOptions,
  total: number | undefined,
): string {
  const entries: [string, unknown][] = [
    ['totalrecordcount', options.count ? (total ?? -1) : -1],
    ['totalrecordcountlimitexceeded', options.count && total === 5000],
    ['globalmetadataversion', String(store.metadataVersion)],
  ];
  return entries
    .filter(([name]) => preferences.wants(`Microsoft.Dynamics.CRM.${name}`))
    .map(([name, value]) => `"@Microsoft.Dynamics.CRM.${name}":${JSON.stringify(value)},`)
    .join('');
}

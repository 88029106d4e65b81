import type { Dataverse } from '../dataverse.ts';
import type { Table } from '../metadata/model.ts';
import type { QueryOptions } from '../query/query-options.ts';
import { Fragment } from './fragment.ts';
import type { Preferences } from './preferences.ts';
import type { ServiceResponse } from './service.ts';

export const jsonHeaders = {
  'content-type': 'application/json; odata.metadata=minimal',
  'odata-version': '4.0',
};

export function contextOf(root: string, table: Table, options: QueryOptions): string {
  const select = options.select === undefined ? '' : `(${options.select.join(',')})`;
  return `${root}/$metadata#${table.entitySetName}${select}`;
}

/** The original query with its options repeated, and where to go on. */
export function setLink(root: string, table: Table, query: string, more: readonly string[]): string {
  const kept = query
    .split('&')
    .filter((part) => part !== '' && !/^(\$|%24)(skiptoken|deltatoken)=/i.test(part));
  return `${root}/${table.entitySetName}?${[...kept, ...more].join('&')}`;
}

export function appliedHeader(preferences: Preferences): Record<string, string> {
  return preferences.applied.length === 0 ? {} : { 'preference-applied': preferences.applied.join(',') };
}

/** What the envelope says about the whole, when annotations are asked for. */
export function pageAnnotations(
  dataverse: Dataverse,
  preferences: Preferences,
  options: QueryOptions,
  total: number | undefined,
): string {
  const entries: [string, unknown][] = [
    ['totalrecordcount', options.count ? (total ?? -1) : -1],
    ['totalrecordcountlimitexceeded', options.count && total === 5000],
    ['globalmetadataversion', String(dataverse.store.metadataVersion)],
  ];
  return entries
    .filter(([name]) => preferences.wants(`Microsoft.Dynamics.CRM.${name}`))
    .map(([name, value]) => `"@Microsoft.Dynamics.CRM.${name}":${JSON.stringify(value)},`)
    .join('');
}

export function json(content: unknown, status = 200, headers: Record<string, string> = {}): ServiceResponse {
  return { status, headers: { ...jsonHeaders, ...headers }, body: [new Fragment(JSON.stringify(content))] };
}

/** Plain text, with the byte order mark that the service puts before a bare count. */
export function text(content: string): ServiceResponse {
  return {
    status: 200,
    headers: { 'content-type': 'text/plain', 'odata-version': '4.0' },
    body: [new Fragment(`\ufeff${content}`)],
  };
}

export function html(status: number, content: string): ServiceResponse {
  return { status, headers: { 'content-type': 'text/html' }, body: [new Fragment(content)] };
}

import type { Dataverse } from '../../dataverse.ts';
import { Fragment } from '../../http/fragment.ts';
import { maximumPageSize, type Preferences } from '../../http/preferences.ts';
import { appliedHeader, jsonHeaders } from '../../http/responses.ts';
import { badRequest } from '../../http/service-error.ts';
import { apiRoot, type ServiceRequest, type ServiceResponse } from '../../http/service-request.ts';
import { columnIndex, type Table } from '../../metadata/model.ts';
import type { Row } from '../../rows/values.ts';
import { applyTo } from '../apply.ts';
import { contextOf } from '../page-envelope.ts';
import { fetchXmlCookie, parsePagingCookie } from '../paging-cookie.ts';
import { filterTest } from '../row-filter.ts';
import { chosenColumns, rowWriter } from '../row-json.ts';
import { compareRows, cookieEntries, type Order, position } from '../row-order.ts';
import { fetchFilter, propertyOf } from './fetch-filter.ts';
import { type Element, parseFetch } from './parse-fetch.ts';

/**
 * Answers `GET /accounts?fetchXml=…`: attributes, filters, orders, pages and aggregates of one table. Columns that are null
 * are missing in rows (learn.microsoft.com: Query data using FetchXml, Page results using FetchXml).
 */
export function answerFetch(
  dataverse: Dataverse,
  request: ServiceRequest,
  table: Table,
  xml: string,
  preferences: Preferences,
): ServiceResponse {
  const { store } = dataverse;
  const { fetch, entity } = parseFetch(xml);
  if (entity.attributes['name'] !== table.logicalName) {
    throw badRequest(`The entity of the query is not ${table.logicalName}.`, '0x80041102');
  }
  if (entity.children.some(({ name }) => name === 'link-entity')) {
    throw badRequest('The sample does not support link-entity.', '0x80041102');
  }
  const filter = fetchFilter(table, entity);
  const passes = filter === undefined ? () => true : filterTest(store, table, filter);
  const matching = store.visibleRows(table).ordered().filter(passes);
  const members: string[] = [`"@odata.context":"${contextOf(request.origin + apiRoot, table, {} as never)}"`];
  let rows: string[];
  if (fetch.attributes['aggregate'] === 'true') rows = aggregates(table, entity, matching);
  else {
    const order = ordersOf(table, entity);
    const sorted = order.length === 0 ? matching : matching.toSorted((a, b) => compareRows(order, a, b));
    const { page, cookie, more } = pageOf(table, fetch, order, sorted);
    if (preferences.wants('Microsoft.Dynamics.CRM.morerecords')) {
      members.push(`"@Microsoft.Dynamics.CRM.morerecords":${more}`);
    }
    if (cookie !== undefined && preferences.wants('Microsoft.Dynamics.CRM.fetchxmlpagingcookie')) {
      members.push(`"@Microsoft.Dynamics.CRM.fetchxmlpagingcookie":${JSON.stringify(cookie)}`);
    }
    const chosen = chosenColumns(table, attributesOf(table, entity));
    const write = rowWriter(table, chosen, preferences.wants, (name, id) => store.nameOf(name, id));
    rows = page.map((row) => write(row).replaceAll(/,"[^"]+":null(?=[,}])/g, ''));
  }
  dataverse.stats.rows += rows.length;
  return {
    status: 200,
    headers: { ...jsonHeaders, ...appliedHeader(preferences) },
    body: [new Fragment(`{${members.join(',')},"value":[${rows.join(',')}]}`)],
  };
}

function attributesOf(table: Table, entity: Element): string[] | undefined {
  const named = entity.children.filter(({ name }) => name === 'attribute');
  if (named.length === 0) return undefined;
  return named.map(({ attributes }) => propertyOf(table, attributes['name']));
}

function ordersOf(table: Table, entity: Element): Order[] {
  return entity.children
    .filter(({ name }) => name === 'order')
    .map(({ attributes }) => {
      const index = columnIndex(table, propertyOf(table, attributes['attribute']));
      return { column: table.columns[index]!, index, descending: attributes['descending'] === 'true' };
    });
}

function pageOf(
  table: Table,
  { attributes }: Element,
  order: readonly Order[],
  rows: Row[],
): { page: Row[]; cookie?: string; more: boolean } {
  const number = (name: string, otherwise: number) => Number(attributes[name] ?? otherwise);
  if (attributes['top'] !== undefined) return { page: rows.slice(0, number('top', 0)), more: false };
  const size = Math.min(number('count', maximumPageSize), maximumPageSize);
  const page = number('page', 1);
  const given = attributes['paging-cookie'];
  const start =
    given === undefined ? (page - 1) * size : position(table, rows, order, parsePagingCookie(given, page));
  const shown = rows.slice(start, start + size);
  const more = start + size < rows.length;
  if (!more) return { page: shown, more };
  const last = cookieEntries(table, order, shown[0]!, shown.at(-1)!);
  return { page: shown, cookie: fetchXmlCookie({ page: page + 1, last }), more };
}

/** Rows of `aggregate` and `groupby` attributes, under their aliases. */
function aggregates(table: Table, entity: Element, rows: readonly Row[]): string[] {
  const attributes = entity.children
    .filter(({ name }) => name === 'attribute')
    .map((each) => each.attributes);
  const groups = attributes.filter(({ groupby }) => groupby === 'true');
  const values = attributes
    .filter(({ aggregate }) => aggregate !== undefined)
    .map(({ name, aggregate, alias, distinct }) => {
      if (aggregate === 'count') return `$count as ${alias}`;
      const methods: Record<string, string> = { avg: 'average', countcolumn: 'countdistinct' };
      if (aggregate === 'countcolumn' && distinct !== 'true') {
        throw badRequest('The sample counts distinct values of a column only.', '0x80041102');
      }
      return `${propertyOf(table, name)} with ${methods[aggregate!] ?? aggregate} as ${alias}`;
    })
    .join(',');
  const names = groups.map(({ name }) => propertyOf(table, name));
  const apply =
    names.length === 0 ? `aggregate(${values})` : `groupby((${names.join(',')}),aggregate(${values}))`;
  return applyTo(table, rows, apply).map((text) =>
    groups.reduce((row, { alias }, index) => row.replace(`"${names[index]}":`, `"${alias}":`), text),
  );
}

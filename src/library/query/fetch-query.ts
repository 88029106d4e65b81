import { parseRows } from '../../dataverse/read/page.ts';
import { annotationsPreference, encodeValue } from '../../dataverse/read/query.ts';
import { toPage } from '../../dataverse/read/read-pages.ts';
import type { CallOptions } from '../../dataverse/transport/call.ts';
import type { Transport } from '../../dataverse/transport/transport.ts';
import { checkCount } from '../client/check-count.ts';
import { DataverseError } from '../client/errors.ts';
import type { RequestOptions } from '../client/options.ts';
import { rowsOf } from '../client/session.ts';
import { exactTextsOf } from '../rows/exact-numbers.ts';
import { displayAnnotations } from './annotations.ts';
import { pageOf, singlePageOf } from './fetch-xml.ts';
import type { QuerySource, RowPage } from './query.ts';

export interface FetchXmlOptions extends RequestOptions {
  /** Rows per page if the query has no `count`. @default 5000 */
  pageSize?: number | undefined;
  /** Also read labels, formatted numbers and the tables of lookups. */
  formatted?: boolean | undefined;
}

const pagingAnnotations = [
  'Microsoft.Dynamics.CRM.fetchxmlpagingcookie',
  'Microsoft.Dynamics.CRM.morerecords',
];

/** A query in FetchXML. Columns that are null are missing in its rows. */
export class FetchXmlQuery<T> implements AsyncIterable<T> {
  readonly #source: QuerySource;
  readonly #xml: string;
  readonly #options: FetchXmlOptions;

  /** @internal */
  constructor(source: QuerySource, xml: string, options: FetchXmlOptions = {}) {
    this.#source = source;
    this.#xml = xml;
    this.#options = options;
  }

  /** Reads page by page. A query with `top`, `page` or `aggregate` has one. */
  pages(): AsyncGenerator<RowPage<T>> {
    const { session } = this.#source;
    return session.iterate(this.#options, (transport, options) => this.#pages(transport, options));
  }

  [Symbol.asyncIterator](): AsyncGenerator<T> {
    return this.#source.session.flatten(this.#options, rowsOf(this.pages()));
  }

  /** Reads all rows into memory. */
  async toArray(): Promise<T[]> {
    const all: T[] = [];
    for await (const { rows } of this.pages()) for (const row of rows) all.push(row);
    return all;
  }

  async *#pages(transport: Transport, options: CallOptions): AsyncGenerator<RowPage<T>> {
    const table = await this.#source.definition(this.#options);
    const { entitySet } = table;
    const exact = exactTextsOf(this.#source.session.options(this.#options), table, { hasOthers: true });
    const annotations = [...pagingAnnotations, ...(this.#options.formatted ? displayAnnotations : [])];
    const single = singlePageOf(this.#xml);
    const pageSize = checkCount(this.#options.pageSize ?? 5000, 'pageSize');
    let cookie: string | undefined;
    for (let number = 1; ; number += 1) {
      const xml = single ? this.#xml : pageOf(this.#xml, number, pageSize, cookie);
      const call = {
        ...options,
        exact,
        operation: `read page ${number} of ${entitySet}`,
        subject: 'fetch page',
        entitySet,
        url: `${entitySet}?fetchXml=${encodeValue(xml)}`,
        headers: { Prefer: annotationsPreference(annotations) },
      };
      const { rows, next } = await transport.send(call, (reply) => {
        const page = toPage(reply, entitySet);
        const last = page.moreRecords !== true;
        return { rows: parseRows(page) as T[], next: last ? undefined : { cookie: page.fetchXmlCookie } };
      });
      if (single === 'whole' && next !== undefined) {
        throw new DataverseError(`The aggregate of ${entitySet} has more rows than one page`, {
          hint: 'Group it by fewer values, or ask for its pages one by one with the attributes page and count.',
        });
      }
      yield { rows, number };
      if (single !== undefined || next === undefined) return;
      if (next.cookie !== undefined && next.cookie === cookie) {
        throw new DataverseError(`Page ${number} of ${entitySet} has the paging cookie of the page before`, {
          hint: 'The paging cookie does not advance. Order the query by a unique column, or read the table again.',
        });
      }
      cookie = next.cookie;
    }
  }
}

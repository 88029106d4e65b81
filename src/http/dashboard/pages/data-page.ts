import type { PostgresSettings } from '../../../config/postgres/postgres-settings.ts';
import { databaseNameOf } from '../../../storage/database/database-names.ts';
import { html } from '../../pages/html.ts';
import { count } from '../../pages/page-format.ts';
import { assetName } from '../assets.ts';
import type { PageContent } from '../layout.ts';
import type { Links } from '../links.ts';
import { dataTable } from '../parts/run-tables.ts';
import type { PageContext } from './page-context.ts';

/** `pages/data`: the rows of the mirror. The browser reads the file by ranges; without a script the page offers the file. */
export async function dataPage({ services, links, query }: PageContext): Promise<PageContent> {
  const state = await services.mirror.lastState();
  const title = 'Data';
  if (state?.databaseBytes === undefined) {
    return { title, content: html`<h1>Data</h1><p>There is no database before the first sync.</p>` };
  }
  if (services.settings.postgres !== undefined) return postgresPage(services.settings.postgres, links);
  const defaultName = databaseNameOf(services.settings.databaseName);
  const names = Object.keys(state.databases ?? { [defaultName]: undefined });
  const asked = query.get('database');
  const name = asked !== null && names.includes(asked) ? asked : names[0]!;
  const address = links.route('database', name === defaultName ? {} : { name });
  const others =
    names.length < 2
      ? undefined
      : html`<nav aria-label="Databases"><p>${names.map((one) => html`<a href="${links.page('data', undefined, { database: one })}"${one === name ? html` aria-current="true"` : undefined}>${one}</a> `)}</p></nav>`;
  const tables = Object.values(state.entities).filter(
    ({ table }) => (table.database ?? defaultName) === name,
  );
  const content = html`<h1>Data</h1>
${others}
<div id="data" data-database="${address}" data-worker="${links.asset(assetName('sqlite-worker.js'))}" data-wasm="${links.asset(assetName('sqlite3.wasm'))}"></div>
<noscript><p>The rows are shown by a script. Without one, download the file from <code>${links.route('database')}</code>.</p>
${dataTable(
  'Tables of the database',
  [
    { name: 'Table', cell: ({ table }: (typeof tables)[number]) => html`<code>${table.name}</code>` },
    { name: 'Rows', isNumber: true, cell: ({ rows }) => count(rows) },
  ],
  tables,
)}</noscript>`;
  return { title, content, newsSeconds: 0, hasSqlite: true };
}

/** The app sends the queries of the page to PostgreSQL, as a user that can only read. */
function postgresPage({ reader, address, schema }: PostgresSettings, links: Links): PageContent {
  const place = html`The mirror is in the schema <code>${schema}</code> of the database <code>${address.database}</code> at <code>${address.host}</code>.`;
  const shown =
    reader === undefined
      ? html`<p>${place} To see its rows here, create a user of PostgreSQL that may only read, and set <code>POSTGRES_READER_URL</code>: see “Readers” in docs/postgres.md.</p>`
      : html`<div id="data" data-queries="${links.route('query')}"></div>
<noscript><p>The rows are shown by a script. Without one, use any client of PostgreSQL. ${place}</p></noscript>`;
  return { title: 'Data', content: html`<h1>Data</h1>${shown}`, newsSeconds: 0, hasSqlite: true };
}

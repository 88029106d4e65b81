import { exportStatus } from '../../../sync/export/export-status.ts';
import { verify } from '../../../sync/run/verify.ts';
import { type Html, html } from '../../pages/html.ts';
import { count } from '../../pages/page-format.ts';
import type { PageContent } from '../layout.ts';
import { attempt } from '../parts/attempt.ts';
import { checkSection } from '../parts/check-section.ts';
import { exportSection } from '../parts/export-section.ts';
import { dataTable } from '../parts/run-tables.ts';
import { ago, faultOf, postButton, staleTables, withoutState } from '../parts/words.ts';
import { type PageContext, readRecent } from './page-context.ts';

/** `pages/quality`: row counts against Dataverse, references without a target, stale tables, deletes that were held back. */
export async function qualityPage(context: PageContext): Promise<PageContent> {
  const { services, links, now } = context;
  const [{ last, state }, searched, exported] = await Promise.all([
    readRecent(context),
    attempt(services, 'References and checks', () => verify(services)),
    attempt(services, 'The export', () => exportStatus(services)),
  ]);
  const { value: report, fault } = searched;
  if (report === undefined && fault === undefined) {
    return {
      title: 'Quality',
      content: html`<h1>Quality</h1>${withoutState(last !== undefined)}`,
    };
  }
  const held = last?.entities.filter(({ heldBack = 0 }) => heldBack > 0) ?? [];
  const stale = staleTables(state, now);
  const counted = last?.entities.filter(({ dataverseRows }) => dataverseRows !== undefined) ?? [];
  const content = html`<h1>Quality</h1>
${held.length === 0 ? undefined : html`<h2>Deletes that were held back</h2>${held.map((table) => faultOf(table, links))}`}
<h2>Stale tables</h2>
${stale.length === 0 ? html`<p>Every table was read within a day.</p>` : html`<ul>${stale.map(([name, { syncedAt }]) => html`<li><a href="${links.page('tables', name)}">${name}</a>, read ${ago(syncedAt, now)}</li>`)}</ul>`}
<h2>Row counts</h2>
${counted.length === 0 ? html`<p>The last sync did not ask Dataverse for its counts. It asks when a table changed.</p>` : countsTable(counted)}
${
  fault ??
  html`<h2>References without a target</h2>
${referencesOf(report!)}
${checkSection(report!) ?? html`<h2>Check of the database</h2><p>There was no check yet.</p>`}`
}
${exported.fault ?? (exported.value && exportSection(exported.value))}
<p>${postButton('Check the whole database', links.route('verify'), {})}</p>`;
  return { title: 'Quality', content, isLive: report?.check?.state === 'running', newsSeconds: 300 };
}

function countsTable(tables: readonly { name: string; rows?: number; dataverseRows?: number }[]): Html {
  const differs = ({ rows, dataverseRows }: (typeof tables)[number]): boolean => rows !== dataverseRows;
  return dataTable(
    'Rows in the mirror and in Dataverse, as the last sync counted them',
    [
      { name: 'Table', cell: (table) => table.name },
      { name: 'In the mirror', isNumber: true, cell: ({ rows = 0 }) => count(rows) },
      { name: 'In Dataverse', isNumber: true, cell: ({ dataverseRows = 0 }) => count(dataverseRows) },
      {
        name: 'Verdict',
        cell: (table) =>
          differs(table) ? html`<span class="bad">differs</span>` : html`<span class="good">equal</span>`,
      },
    ],
    tables.toSorted((a, b) => Number(differs(b)) - Number(differs(a))),
  );
}

function referencesOf({
  danglingReferences,
  foreignKeys = [],
}: NonNullable<Awaited<ReturnType<typeof verify>>>): Html {
  if (danglingReferences === undefined)
    return html`<p>The database is too large to be searched for each page. A check counts them.</p>`;
  if (danglingReferences === 0) return html`<p>None: every reference has its row.</p>`;
  return html`<p>${count(danglingReferences)} rows refer to a row that the mirror lacks: the application user may not see it, it was deleted, or its table is not synced.</p>
${dataTable(
  'The most frequent ones first',
  [
    {
      name: 'Column',
      cell: (key: (typeof foreignKeys)[number]) => html`<code>${key.table}.${key.column}</code>`,
    },
    { name: 'Refers to', cell: ({ targets }) => targets.join(', ') },
    { name: 'Rows', isNumber: true, cell: (key) => count(key.count) },
    {
      name: 'Examples',
      cell: ({ examples }) =>
        html`<details><summary>${count(examples.length)} examples</summary><ul>${examples.map(({ row, target }) => html`<li>row <code>${row}</code> refers to <code>${target}</code></li>`)}</ul></details>`,
    },
  ],
  foreignKeys,
)}`;
}

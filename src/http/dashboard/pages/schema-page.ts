import type { Finding } from '../../../schema/compare.ts';
import { readSchemaReport } from '../../../sync/plan/validate-schema.ts';
import { type Html, html } from '../../pages/html.ts';
import { count, time } from '../../pages/page-format.ts';
import type { PageContent } from '../layout.ts';
import { attempt } from '../parts/attempt.ts';
import { dataTable } from '../parts/run-tables.ts';
import { changesTable } from '../parts/schema-changes.ts';
import type { PageContext } from './page-context.ts';

/** Words and signs, so that no colour is needed. */
const severities: Readonly<Record<Finding['severity'], { text: string; style: string }>> = {
  error: { text: '✕ error', style: 'bad' },
  warning: { text: '! warning', style: 'live' },
  info: { text: 'i information', style: 'quiet' },
};

const mostChanges = 200;

/** `pages/schema?show=differences`: how the database differs from Dataverse. */
export async function schemaPage({ services, links, query, reads }: PageContext): Promise<PageContent> {
  const report = await readSchemaReport(services);
  if (report === undefined) {
    return {
      title: 'Schema',
      content: html`<h1>Schema</h1><p>There is no report before the first sync.</p>`,
    };
  }
  const { summary, findings, generatedAt } = report;
  const onlyProblems = query.get('show') === 'problems';
  const shown = findings.filter(({ severity }) => !onlyProblems || severity !== 'info');
  const filter = onlyProblems
    ? html`<a href="${links.page('schema')}">Show all ${count(findings.length)}</a>`
    : html`<a href="${links.page('schema', undefined, { show: 'problems' })}">Only errors and warnings</a>`;
  const changes = await attempt(services, 'What syncs changed', () => reads.schemaChanges(mostChanges));
  const content = html`<h1>${verdict(summary)}</h1>
<p class="quiet">Dataverse compared with the database. Nothing changed since ${time(generatedAt)}.</p>
${findings.length === 0 ? undefined : html`<p>${filter}</p>`}
${shown.length === 0 ? html`<p>${onlyProblems ? 'No errors and no warnings.' : 'No differences.'}</p>` : table(shown, links)}
<h2>Changes</h2>
${changes.fault ?? changesTable(changes.value)}`;
  return { title: 'Schema', content };
}

function verdict({ error, warning, info }: Record<Finding['severity'], number>): string {
  const counted = (n: number, noun: string): string => `${count(n)} ${noun}${n === 1 ? '' : 's'}`;
  if (error > 0) return `Schema: ${counted(error, 'error')}, ${counted(warning, 'warning')}`;
  if (warning > 0) return `Schema: ${counted(warning, 'warning')}`;
  return info > 0 ? 'The schemas fit' : 'The schemas are equal';
}

function table(findings: readonly Finding[], links: PageContext['links']): Html {
  return dataTable(
    'Errors first',
    [
      {
        name: 'Table',
        cell: (one: Finding) =>
          html`<a href="${links.page('tables', one.table)}">${one.table}</a>${one.column && html` <code>${one.column}</code>`}`,
      },
      {
        name: 'Kind',
        cell: ({ severity }) =>
          html`<span class="${severities[severity].style}">${severities[severity].text}</span>`,
      },
      { name: 'What', cell: ({ what }) => what },
      { name: 'Since', cell: ({ since }) => since && time(since) },
      { name: 'What to do', cell: ({ action }) => action },
    ],
    findings,
  );
}

import type { HttpRequest, HttpResponseInit } from '@azure/functions';
import type { Checks } from '../../sync/check/check-status.ts';
import type { TableReport } from '../../sync/documents/report.ts';
import type { RunStatus } from '../../sync/run/run-status.ts';
import { address } from '../address.ts';
import { type Html, html } from '../pages/html.ts';
import { pageResponse } from '../pages/page.ts';
import { bytes, count, seconds, time } from '../pages/page-format.ts';
import { checkSection } from './check-section.ts';

const starters = { timer: 'the timer', http: 'HTTP', command: 'a command', changes: 'changes' } as const;

/** The page of a live run or check reloads after this many seconds. */
const refreshSeconds = 3;

/** The links of the pages. Each keeps the function key of the request. */
interface StatusLinks {
  overview: string;
  run: (runId: string) => string;
  schema: string;
  verify: string;
}

/** @param request to `/api/sync` or to a run below it */
export function statusLinks(request: Pick<HttpRequest, 'url'>): StatusLinks {
  const overview = new URL(address(request, 'sync')).pathname;
  const api = overview.slice(0, overview.lastIndexOf('/'));
  const code = new URL(request.url).searchParams.get('code');
  const link = (path: string, query: Record<string, string> = {}): string => {
    const search = new URLSearchParams(code === null ? query : { ...query, code }).toString();
    return search === '' ? path : `${path}?${search}`;
  };
  return {
    overview: link(overview),
    run: (id) => link(`${overview}/${encodeURIComponent(id)}`),
    schema: link(`${api}/schema`, { format: 'markdown' }),
    verify: link(`${api}/verify`),
  };
}

/** `GET /api/sync` for a browser: the live or latest run in full, the check of the database, then the latest runs. */
export function overviewPage(
  { active, runs }: { active: RunStatus | null; runs: readonly RunStatus[] },
  links: StatusLinks,
  checks: Checks = { check: null, checked: null },
): HttpResponseInit {
  const shown = active ?? runs[0];
  const content =
    shown === undefined
      ? html`<h1>No sync yet</h1><p>The timer starts the first sync. To start one now, send <code>POST</code> to this address.</p>`
      : html`${runSection(shown)}${checkSection(checks)}${runsSection(runs, links)}`;
  return page(shown, html`${navigation(links)}${content}`, checks.check?.state === 'running');
}

/** `GET /api/sync/{runId}` for a browser. */
export function runPage(run: RunStatus, links: StatusLinks): HttpResponseInit {
  return page(run, html`${navigation(links)}${runSection(run)}`);
}

function page(run: RunStatus | undefined, content: Html, isChecking = false): HttpResponseInit {
  const title = run === undefined ? 'Dataverse sync' : `${verdict(run).text} · Dataverse sync`;
  const changes = isChecking || (run !== undefined && isLive(run));
  return pageResponse(title, content, changes ? { refreshSeconds } : {});
}

function navigation(links: StatusLinks): Html {
  return html`<nav aria-label="Reports"><a href="${links.overview}">All syncs</a> <a href="${links.schema}">Schema report</a> <a href="${links.verify}">Check of the database</a></nav>
`;
}

function isLive({ phase }: RunStatus): boolean {
  return phase === 'planning' || phase === 'fetching' || phase === 'merging';
}

/** The state of a run in a few words, and their colour. The words say everything that the colour says. */
function verdict(run: RunStatus): { text: string; style: 'good' | 'bad' | 'live' } {
  const { phase, entities } = run;
  if (isLive(run)) return { text: `Sync is ${phase}`, style: 'live' };
  if (phase !== 'complete') return { text: `Sync ${phase}`, style: 'bad' };
  const faults = entities.filter(({ error }) => error !== undefined).length;
  if (faults === 0) return { text: 'Sync complete', style: 'good' };
  const tables = faults === 1 ? '1 table needs' : `${faults} tables need`;
  return { text: `Sync complete, ${tables} attention`, style: 'bad' };
}

function runSection(run: RunStatus): Html {
  const { text, style } = verdict(run);
  const ended = run.finishedAt && html`, ended at ${time(run.finishedAt)}`;
  return html`<h1 class="${style}">${text}</h1>
<p class="quiet">Run ${run.runId}, started by ${starters[run.trigger] ?? 'HTTP'} at ${time(run.startedAt)}${ended}</p>
${run.tables && html`<p class="quiet">It is of some tables alone: ${run.tables.join(', ')}</p>`}
${run.error === undefined ? undefined : fault('The run failed', run)}
${run.entities.filter(({ error }) => error !== undefined).map((table) => fault(table.name, table))}
${isLive(run) ? progressBar(run) : undefined}
${figures(run)}
${run.entities.length === 0 ? undefined : tablesOfRun(run.entities)}`;
}

function fault(subject: string, { error, hint }: { error?: string; hint?: string }): Html {
  return html`<div class="fault"><p><strong>${subject}</strong>: ${error}</p>${hint && html`<p>What to do: ${hint}</p>`}</div>
`;
}

function progressBar({ entities }: RunStatus): Html {
  const done = entities.filter(({ state }) => state !== 'waiting' && state !== 'fetching').length;
  return html`<p><label for="progress">${done} of ${entities.length} tables read</label></p>
<progress id="progress" value="${done}" max="${Math.max(1, entities.length)}"></progress>`;
}

function figures(run: RunStatus): Html {
  const { totals, database, quality, danglingReferences, files } = run;
  const pairs: [string, string | undefined][] = [
    ['Seconds', seconds(run.seconds)],
    ['Rounds', count(run.rounds)],
    ['Rows read', count(totals.rowsRead)],
    ['Added', count(totals.added)],
    ['Updated', count(totals.updated)],
    ['Deleted', count(totals.deleted)],
    ['Requests', count(totals.requests)],
    ['Retries', count(totals.retries)],
    ['Throttled', totals.throttled ? `${count(totals.throttled)} requests` : undefined],
    ['Waited', totals.waitedSeconds ? `${seconds(totals.waitedSeconds)} s` : undefined],
    ['Read from Dataverse', bytes(totals.bytes)],
    ['On the wire', totals.wireBytes ? bytes(totals.wireBytes) : undefined],
    ['Database', database && bytes(database.bytes)],
    ...Object.entries(run.databases ?? {}).map(([name, file]): [string, string] => [
      `Database ${name}`,
      `${bytes(file.bytes)}${file.tables === 0 ? ', no longer used' : ''}`,
    ]),
    ['Database written', database && bytes(database.stagedBytes)],
    ['Files fetched', files && count(files.fetched)],
    ['Files failed', files && count(files.failed)],
    ['Total rows', quality && count(quality.rows)],
    ['Dangling references', danglingReferences === undefined ? undefined : count(danglingReferences)],
    [
      'Row count differs from Dataverse',
      quality?.counted ? quality.miscounted.join(', ') || 'none' : undefined,
    ],
    [
      'Age of oldest table',
      quality?.ageSeconds === undefined ? undefined : `${seconds(quality.ageSeconds)} s`,
    ],
  ];
  return html`<dl>${pairs.map(([term, value]) => value && html`<div><dt>${term}</dt><dd>${value}</dd></div>`)}</dl>`;
}

type Counts = Pick<TableReport, 'rowsRead' | 'added' | 'updated' | 'deleted' | 'unchanged' | 'seconds'>;

/** The columns with numbers: heading and text. */
type Column = [heading: string, text: (row: Counts) => string];

const rowColumns: Column[] = [
  ['Read', (row) => count(row.rowsRead)],
  ['Added', (row) => count(row.added)],
  ['Updated', (row) => count(row.updated)],
  ['Deleted', (row) => count(row.deleted)],
];
const secondsColumn: Column = ['Seconds', (row) => seconds(row.seconds)];
const tableColumns: Column[] = [...rowColumns, ['Unchanged', (row) => count(row.unchanged)], secondsColumn];
const runColumns: Column[] = [...rowColumns, secondsColumn];

function headCells(columns: readonly Column[]): Html[] {
  return columns.map(([name]) => html`<th scope="col" class="number">${name}</th>`);
}

function numberCells(columns: readonly Column[], row: Counts): Html[] {
  return columns.map(([name, text]) => html`<td data-label="${name}" class="number">${text(row)}</td>`);
}

function tablesOfRun(tables: readonly TableReport[]): Html {
  const faulty = tables.filter(({ error }) => error !== undefined);
  const others = tables.filter(({ error }) => error === undefined);
  return html`<table>
<caption>Tables of this sync. Tables that need attention come first.</caption>
<thead><tr><th scope="col">Table</th><th scope="col">State</th><th scope="col">Strategy</th>${headCells(tableColumns)}</tr></thead>
<tbody>
${[...faulty, ...others].map(tableRow)}</tbody>
</table>`;
}

function tableRow(table: TableReport): Html {
  const { name, state, error, strategy, reason } = table;
  const style = error !== undefined ? 'bad' : state === 'merged' ? 'good' : 'live';
  return html`<tr><th scope="row">${name}</th>
<td data-label="State" class="${style}">${error !== undefined && state !== 'failed' ? `${state}, see above` : state}</td>
<td data-label="Strategy">${strategy}${reason && html` <span class="quiet">${reason}</span>`}</td>
${numberCells(tableColumns, table)}</tr>
`;
}

function runsSection(runs: readonly RunStatus[], links: StatusLinks): Html {
  return html`<h2>Latest syncs</h2>
<table>
<caption>Newest first, times in UTC</caption>
<thead><tr><th scope="col">Started</th><th scope="col">Outcome</th>${headCells(runColumns)}</tr></thead>
<tbody>
${runs.map((run) => runRow(run, links))}</tbody>
</table>`;
}

function runRow(run: RunStatus, links: StatusLinks): Html {
  const { text, style } = verdict(run);
  return html`<tr><th scope="row"><a href="${links.run(run.runId)}">${time(run.startedAt)}</a></th>
<td data-label="Outcome" class="${style}">${text}</td>
${numberCells(runColumns, { ...run.totals, seconds: run.seconds })}</tr>
`;
}

import type { HttpRequest, HttpResponseInit } from '@azure/functions';
import type { TableReport } from '../../sync/documents/report.ts';
import type { RunStatus } from '../../sync/run/run-status.ts';
import { address } from '../address.ts';
import { type Html, html } from '../pages/html.ts';
import { pageResponse } from '../pages/page.ts';
import { bytes, count, seconds, time } from '../pages/page-format.ts';

/** Seconds between two looks at a run that is live. */
const refreshSeconds = 3;

/** Where the pages link to; every link keeps the function key that the page was called with. */
export interface StatusLinks {
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

/** `GET /api/sync` for a browser: the live or latest run in full, and the latest runs. */
export function overviewPage(
  { active, runs }: { active: RunStatus | null; runs: readonly RunStatus[] },
  links: StatusLinks,
): HttpResponseInit {
  const shown = active ?? runs[0];
  const content =
    shown === undefined
      ? html`<h1>No sync yet</h1><p>The timer starts the first one, or <code>POST</code> to this address.</p>`
      : html`${runSection(shown)}${runsSection(runs, links)}`;
  return page(shown, html`${navigation(links)}${content}`);
}

/** `GET /api/sync/{runId}` for a browser. */
export function runPage(run: RunStatus, links: StatusLinks): HttpResponseInit {
  return page(run, html`${navigation(links)}${runSection(run)}`);
}

function page(run: RunStatus | undefined, content: Html): HttpResponseInit {
  const title = run === undefined ? 'Dataverse sync' : `${verdict(run).text} · Dataverse sync`;
  return pageResponse(title, content, run !== undefined && isLive(run) ? { refreshSeconds } : {});
}

function navigation(links: StatusLinks): Html {
  return html`<nav aria-label="Reports"><a href="${links.overview}">All syncs</a> <a href="${links.schema}">Schema report</a> <a href="${links.verify}">Verify references</a></nav>
`;
}

function isLive({ phase }: RunStatus): boolean {
  return phase === 'planning' || phase === 'fetching' || phase === 'merging';
}

/** How a run stands in a few words, and their colour. Never told by colour alone. */
function verdict(run: RunStatus): { text: string; style: 'good' | 'bad' | 'live' } {
  const { phase, entities } = run;
  if (isLive(run)) return { text: `Sync is ${phase}`, style: 'live' };
  if (phase !== 'complete') return { text: `Sync ${phase}`, style: 'bad' };
  const faults = entities.filter((entity) => entity.error !== undefined).length;
  if (faults === 0) return { text: 'Sync complete', style: 'good' };
  return {
    text: `Sync complete, ${faults} ${faults === 1 ? 'table needs' : 'tables need'} attention`,
    style: 'bad',
  };
}

function runSection(run: RunStatus): Html {
  const { text, style } = verdict(run);
  const ended = run.finishedAt === undefined ? undefined : html`, ended ${time(run.finishedAt)}`;
  return html`<h1 class="${style}">${text}</h1>
<p class="quiet">Run ${run.runId}, by ${run.trigger === 'timer' ? 'the timer' : 'HTTP'}, begun ${time(run.startedAt)}${ended}</p>
${run.error === undefined ? undefined : fault('The run failed', run)}
${run.entities.filter((entity) => entity.error !== undefined).map((entity) => fault(entity.name, entity))}
${isLive(run) ? progressBar(run) : undefined}
${figures(run)}
${run.entities.length === 0 ? undefined : entitiesTable(run.entities)}`;
}

function fault(subject: string, { error, hint }: { error?: string; hint?: string }): Html {
  return html`<div class="fault"><p><strong>${subject}</strong>: ${error}</p>${hint === undefined ? undefined : html`<p>What to do: ${hint}</p>`}</div>
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
    ['Read from Dataverse', bytes(totals.bytes)],
    ['Database', database && bytes(database.bytes)],
    ['Database written', database && bytes(database.stagedBytes)],
    ['Files fetched', files && count(files.fetched)],
    ['Files that could not be had', files && count(files.failed)],
    ['Rows in all', quality && count(quality.rows)],
    ['References without target', danglingReferences === undefined ? undefined : count(danglingReferences)],
    [
      'Tables that Dataverse counts otherwise',
      quality && quality.counted > 0 ? quality.miscounted.join(', ') || 'none' : undefined,
    ],
    [
      'Age of the oldest table',
      quality?.ageSeconds === undefined ? undefined : `${seconds(quality.ageSeconds)} s`,
    ],
  ];
  return html`<dl>${pairs.map(([term, value]) => (value === undefined ? undefined : html`<div><dt>${term}</dt><dd>${value}</dd></div>`))}</dl>`;
}

function entitiesTable(entities: readonly TableReport[]): Html {
  const faulty = entities.filter((entity) => entity.error !== undefined);
  const others = entities.filter((entity) => entity.error === undefined);
  return html`<table>
<caption>Tables of this sync; those that need attention first</caption>
<thead><tr><th scope="col">Table</th><th scope="col">State</th><th scope="col">Strategy</th>${['Read', 'Added', 'Updated', 'Deleted', 'Unchanged', 'Seconds'].map((name) => html`<th scope="col" class="number">${name}</th>`)}</tr></thead>
<tbody>
${[...faulty, ...others].map(entityRow)}</tbody>
</table>`;
}

function entityRow(entity: TableReport): Html {
  const { name, state, error, strategy, reason } = entity;
  const style = error !== undefined ? 'bad' : state === 'merged' ? 'good' : 'live';
  return html`<tr><th scope="row">${name}</th>
<td data-label="State" class="${style}">${error !== undefined && state !== 'failed' ? `${state}, see above` : state}</td>
<td data-label="Strategy">${strategy}${reason === undefined ? undefined : html` <span class="quiet">${reason}</span>`}</td>
${numberCells(entity)}</tr>
`;
}

function numberCells(entity: TableReport): Html[] {
  const { rowsRead, added, updated, deleted, unchanged } = entity;
  const cells: [string, string][] = [
    ['Read', count(rowsRead)],
    ['Added', count(added)],
    ['Updated', count(updated)],
    ['Deleted', count(deleted)],
    ['Unchanged', count(unchanged)],
    ['Seconds', seconds(entity.seconds)],
  ];
  return cells.map(([label, value]) => html`<td data-label="${label}" class="number">${value}</td>`);
}

function runsSection(runs: readonly RunStatus[], links: StatusLinks): Html {
  return html`<h2>Latest syncs</h2>
<table>
<caption>Newest first; times in UTC</caption>
<thead><tr><th scope="col">Begun</th><th scope="col">Outcome</th>${['Read', 'Added', 'Updated', 'Deleted', 'Seconds'].map((name) => html`<th scope="col" class="number">${name}</th>`)}</tr></thead>
<tbody>
${runs.map((run) => runRow(run, links))}</tbody>
</table>`;
}

function runRow(run: RunStatus, links: StatusLinks): Html {
  const { text, style } = verdict(run);
  const { rowsRead, added, updated, deleted } = run.totals;
  const cells: [string, string][] = [
    ['Read', count(rowsRead)],
    ['Added', count(added)],
    ['Updated', count(updated)],
    ['Deleted', count(deleted)],
    ['Seconds', seconds(run.seconds)],
  ];
  return html`<tr><th scope="row"><a href="${links.run(run.runId)}">${time(run.startedAt)}</a></th>
<td data-label="Outcome" class="${style}">${text}</td>
${cells.map(([label, value]) => html`<td data-label="${label}" class="number">${value}</td>`)}</tr>
`;
}

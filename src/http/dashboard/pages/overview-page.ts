import { Ncrontab } from '../../../config/ncrontab.ts';
import type { HistoryLine } from '../../../sync/history/history-line.ts';
import type { RunStatus } from '../../../sync/run/run-status.ts';
import type { State } from '../../../target/state.ts';
import { type Html, html } from '../../pages/html.ts';
import { bytes, count, seconds, time } from '../../pages/page-format.ts';
import type { PageContent } from '../layout.ts';
import { attempt } from '../parts/attempt.ts';
import { barChart } from '../parts/chart.ts';
import { environmentsTable } from '../parts/environments-table.ts';
import { liveTables } from '../parts/live-tables.ts';
import { mirrorTitle } from '../parts/mirror-title.ts';
import { runsTable } from '../parts/run-tables.ts';
import { changesTable } from '../parts/schema-changes.ts';
import { ago, attention, outcomeOf, postButton } from '../parts/words.ts';
import { type PageContext, readRecent } from './page-context.ts';

/** `pages/overview`: how the mirror is, what runs, what needs attention, and the latest syncs. */
export async function overviewPage(context: PageContext): Promise<PageContent> {
  const recent = await readRecent(context);
  const { active, history, last, state } = recent;
  const { links } = context;
  const { title } = mirrorTitle(recent, context.now);
  if (active === undefined && last === undefined && state === undefined) {
    const content = html`<h1>${title}</h1><p>The timer starts the first sync${nextRun(context)}. To start it now:</p>
<p>${postButton('Start a sync', links.route('sync'), {})}</p>
${await environmentsTable(context)}`;
    return { title, content };
  }
  const content = html`<h1>${title}</h1>
${freshness(state, context)}
${active && (await live(active, state, context))}
<p>${active === undefined ? postButton('Start a sync', links.route('sync'), {}) : postButton('Resume the sync', links.route('sync'), { resume: true }, 'If it makes no progress: start what remains of it again?')}</p>
${attention(active?.entities.some(({ error }) => error) ? active : last, links)}
${figures(state, last)}
${active === undefined ? await newInSchema(context) : undefined}
${recentSyncs(history.runs, context)}
${active === undefined ? await environmentsTable(context) : undefined}`;
  return { title, content, isLive: active !== undefined };
}

function freshness(state: State | undefined, context: PageContext): Html | undefined {
  const tables = Object.entries(state?.entities ?? {}).filter(
    ([name]) => state?.configured?.includes(name) ?? true,
  );
  const [oldest] = tables.sort(([, a], [, b]) => Date.parse(a.syncedAt) - Date.parse(b.syncedAt));
  if (oldest === undefined) return undefined;
  const [name, { syncedAt }] = oldest;
  return html`<p>Of all tables, <a href="${context.links.page('tables', name)}">${name}</a> was read the longest ago: ${ago(syncedAt, context.now)}. ${nextRunSentence(context)}</p>
`;
}

function nextRun({ schedule, now }: PageContext): Html | undefined {
  if (schedule === undefined) return undefined;
  try {
    const next = new Ncrontab(schedule).next(now);
    return next && html` at ${time(next.toISOString())}`;
  } catch {
    // The host may accept it all the same. GET /api/check tells.
    return undefined;
  }
}

function nextRunSentence(context: PageContext): Html | undefined {
  const next = nextRun(context);
  return next && html`The timer starts the next sync${next}.`;
}

async function live(run: RunStatus, state: State | undefined, context: PageContext): Promise<Html> {
  const done = run.entities.filter(({ state }) => state !== 'waiting' && state !== 'fetching').length;
  return html`<h2>Now</h2>
<p><label for="progress">${run.phase}: ${done} of ${run.entities.length} tables are read</label></p>
<progress id="progress" value="${done}" max="${Math.max(1, run.entities.length)}"></progress>
<p>${count(run.totals.rowsRead)} rows read in ${seconds(run.seconds)} s${rate(run.totals.rowsRead, run.seconds)}; ${bytes(run.totals.bytes)}.</p>
${await liveTables(run, state, context)}`;
}

function rate(rows: number, inSeconds: number): string {
  return inSeconds > 0 ? `, ${count(Math.round(rows / inSeconds))} a second` : '';
}

function figures(state: State | undefined, last: RunStatus | undefined): Html {
  const entities = Object.values(state?.entities ?? {});
  const rows = entities.reduce((sum, table) => sum + table.rows, 0);
  const pairs: [string, string | undefined][] = [
    ['Tables', state && count(entities.length)],
    ['Rows', state && count(rows)],
    ['Database', state?.databaseBytes === undefined ? undefined : bytes(state.databaseBytes)],
    ['Requests of the last sync', last && count(last.totals.requests)],
    ['Read by the last sync', last && bytes(last.totals.wireBytes || last.totals.bytes)],
    ['Written by the last sync', last && bytes(last.database?.stagedBytes ?? 0)],
  ];
  return html`<dl>${pairs.map(([term, value]) => value && html`<div><dt>${term}</dt><dd>${value}</dd></div>`)}</dl>`;
}

/** Since yesterday. While a sync runs, the page is made every two seconds, and this would read the database each time. */
async function newInSchema({ now, reads, services }: PageContext): Promise<Html | undefined> {
  const yesterday = now.getTime() - 86_400_000;
  const { value, fault } = await attempt(services, 'What is new in the schema', () =>
    reads.schemaChanges(20),
  );
  if (value === undefined) return fault;
  const recent = value.filter(({ at, change }) => Date.parse(at) > yesterday && change !== 'new-table');
  return recent.length === 0
    ? undefined
    : html`<h2>New in the schema since yesterday</h2>${changesTable(recent)}`;
}

const recentBars = 48;

/** What a sync costs: Azure bills time and storage requests by bytes, Dataverse counts requests. */
function averages(runs: readonly HistoryLine[]): Html {
  const mean = (of: (run: HistoryLine) => number | undefined): number =>
    runs.reduce((sum, run) => sum + (of(run) ?? 0), 0) / runs.length;
  const took = mean((run) => (Date.parse(run.finishedAt) - Date.parse(run.startedAt)) / 1000);
  return html`<p>On average each took ${seconds(took)} s and ${count(Math.round(mean((run) => run.requests)))} requests to Dataverse, read ${bytes(mean((run) => run.wireBytes))} and wrote ${bytes(mean((run) => run.stagedBytes))}.</p>`;
}

function recentSyncs(runs: readonly HistoryLine[], { links }: PageContext): Html | undefined {
  if (runs.length === 0) return undefined;
  const bars = runs
    .slice(0, recentBars)
    .reverse()
    .map((run) => {
      const value = (Date.parse(run.finishedAt) - Date.parse(run.startedAt)) / 1000;
      const { text, isBad } = outcomeOf(run);
      return {
        value,
        isBad,
        label: `${run.startedAt.slice(0, 16).replace('T', ' ')}: ${text}, ${seconds(value)} s`,
      };
    });
  const bad = bars.filter(({ isBad }) => isBad).length;
  const label = `Seconds of the last ${bars.length} syncs; ${bad === 0 ? 'all are complete' : `${bad} with a fault, marked by ×`}.`;
  return html`<h2>Latest syncs</h2>
${barChart(label, bars)}<p class="quiet">${label}</p>
${averages(runs.slice(0, recentBars))}
${runsTable(runs.slice(0, 10), links)}
<p><a href="${links.page('runs')}">All syncs</a></p>
`;
}

import { type DaySums, readDays } from '../../../sync/history/history-days.ts';
import { type RunStatus, runStatus } from '../../../sync/run/run-status.ts';
import { type Html, html } from '../../pages/html.ts';
import { bytes, count, seconds, time } from '../../pages/page-format.ts';
import { Problem } from '../../problem.ts';
import type { PageContent } from '../layout.ts';
import { barChart, timeline } from '../parts/chart.ts';
import { liveTables } from '../parts/live-tables.ts';
import { reportTable, runsTable } from '../parts/run-tables.ts';
import { attention, outcomeOf } from '../parts/words.ts';
import type { PageContext } from './page-context.ts';

const shownDays = [1, 7, 30, 90, 400];
/** One page of a table has no more rows: a run a minute makes 1,440 a day. */
const mostRows = 500;

/** `pages/runs?days=7`: the syncs of the last days, also those whose reports are deleted. */
export async function runsPage({ services, links, query, now }: PageContext): Promise<PageContent> {
  const asked = Number(query.get('days') ?? 7);
  const days = shownDays.includes(asked) ? asked : 7;
  const since = new Date(now.getTime() - days * 86_400_000);
  const found = await readDays(services, { since, limit: mostRows });
  const sum = (of: (day: DaySums) => number): number => found.days.reduce((all, day) => all + of(day), 0);
  const [runs, faults] = [sum((day) => day.runs), sum((day) => day.faults)];
  const choice = shownDays.map(
    (n) =>
      html`<a href="${links.page('runs', undefined, { days: String(n) })}"${n === days ? html` aria-current="true"` : undefined}>${n === 400 ? '13 months' : n === 1 ? '1 day' : `${n} days`}</a> `,
  );
  const content = html`<h1>Syncs</h1>
<nav aria-label="Period"><p>${choice}</p></nav>
<p>${count(runs)} syncs since ${time(since.toISOString())}; ${faults === 0 ? 'none had a fault' : `${count(faults)} had a fault`}.</p>
${dayChart(found.days)}
${found.faults.length === 0 ? undefined : html`<h2>Syncs with a fault</h2>${newestOf(faults, found.faults)}${runsTable(found.faults, links)}`}
<h2>All syncs</h2>
${newestOf(runs, found.runs)}
${runsTable(found.runs, links)}`;
  // Many days take time to read, and change little.
  return { title: 'Syncs', content, newsSeconds: days > 1 ? 300 : 30 };
}

function newestOf(all: number, shown: readonly unknown[]): Html | undefined {
  return all > shown.length ? html`<p>The newest ${count(shown.length)}:</p>` : undefined;
}

/** Rows that changed, by day. */
function dayChart(days: readonly DaySums[]): Html | undefined {
  if (days.length < 2) return undefined;
  const bars = days.map(({ day, changed, faults }) => ({
    value: changed,
    isBad: faults > 0,
    label: `${day}: ${count(changed)} rows changed`,
  }));
  const label = `Rows that changed, by day; days with a fault are marked by ×.`;
  return html`${barChart(label, bars)}<p class="quiet">${label}</p>
`;
}

/** `pages/runs/{runId}`: one sync with all its tables. */
export async function runPage(context: PageContext): Promise<PageContent> {
  const { services, links, item = '' } = context;
  const run = await runStatus(services, item);
  if (run === undefined) {
    throw new Problem(404, `There is no report of run ${item} any more.`, {
      hint: 'Reports are kept for SYNC_KEEP_RUNS. The page of all syncs has a line for each of the last 13 months.',
    });
  }
  const isLive = run.finishedAt === undefined;
  const ended = run.finishedAt === undefined ? undefined : html`, ended at ${time(run.finishedAt)}`;
  const title = isLive ? `A sync is ${run.phase}` : `Sync ${outcomeOf(outcome(run)).text}`;
  const content = html`<h1>${title}</h1>
<p class="quiet">Run ${run.runId}, started by ${run.trigger} at ${time(run.startedAt)}${ended}${run.tables && html`, for ${run.tables.join(', ')} alone`}</p>
${attention(run, links)}
${figures(run)}
${isLive ? await liveTables(run, await services.mirror.lastState(), context) : undefined}
${timelineOf(run)}
${run.entities.length === 0 ? undefined : reportTable(run.entities, links)}`;
  return { title, content, isLive };
}

/** Tables that took shorter are left out if there are many. */
const mostSpans = 40;

/** When each table was read, of the tables that the run read. */
function timelineOf({ startedAt, entities }: RunStatus): Html | undefined {
  const begin = Date.parse(startedAt);
  const spans = entities
    .map(({ name, syncedAt = '', seconds: taken, error }) => ({
      name,
      from: Math.max(0, (Date.parse(syncedAt) - begin) / 1000),
      seconds: taken,
      isBad: error !== undefined,
      // Times of Dataverse have whole seconds. A table that the run did not read has an earlier one.
      isOf: Date.parse(syncedAt) >= begin - 2000,
    }))
    .filter(({ isOf }) => isOf)
    .sort((a, b) => b.seconds - a.seconds)
    .slice(0, mostSpans)
    .sort((a, b) => a.from - b.from);
  if (spans.length < 2) return undefined;
  const label = `When each of ${spans.length} tables was read, in seconds from the start. The table below has the seconds of each.`;
  return html`<h2>When tables were read</h2>
${timeline(label, spans)}`;
}

function outcome({ phase, totals }: RunStatus) {
  return { phase: phase as 'complete' | 'failed' | 'abandoned', failed: totals.failed };
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
  ];
  return html`<dl>${pairs.map(([term, value]) => value && html`<div><dt>${term}</dt><dd>${value}</dd></div>`)}</dl>`;
}

import { SyncError } from '../../../errors.ts';
import {
  beginOf,
  campaignFigures,
  type Figures,
  type Group,
} from '../../../metrics/read/campaign-figures.ts';
import type { RecentRecords } from '../../../metrics/read/recent-records.ts';
import type { MetricsRow } from '../../../metrics/table/campaign-metrics-columns.ts';
import { type Html, html } from '../../pages/html.ts';
import { count, time } from '../../pages/page-format.ts';
import type { PageContent } from '../layout.ts';
import { barChart } from '../parts/chart.ts';
import { dataTable } from '../parts/run-tables.ts';
import type { PageContext } from './page-context.ts';

const periods = [7, 30, 90];
const shownRecords = 20;
/** How often the page looks for records, in seconds. */
const newsSeconds = { mirror: 10, dataverse: 60 } as const;

/** `pages/metrics?days=30&campaign=…&phase=…`: cost, tokens, success and latency of campaigns. */
export async function metricsPage(context: PageContext): Promise<PageContent> {
  const { links, query, now, reads } = context;
  const asked = Number(query.get('days') ?? 30);
  const days = periods.includes(asked) ? asked : 30;
  const campaignId = query.get('campaign') ?? undefined;
  const phase = query.get('phase') ?? undefined;
  const title = 'Campaign metrics';
  let found: RecentRecords;
  try {
    found = await reads.metrics(beginOf(now, days));
  } catch (error) {
    if (!(error instanceof SyncError)) throw error;
    const { message, hint } = error;
    const content = html`<h1>${title}</h1><div class="fault"><p>The records cannot be read: ${message}</p>${hint && html`<p>What to do: ${hint}</p>`}</div>`;
    return { title, content };
  }
  const figures = campaignFigures(
    found.rows.map(({ record }) => record),
    { now, days, campaignId, phase },
  );
  const link = (change: { days?: number; campaign?: string | null; phase?: string | null }): string => {
    const next = { days, campaign: campaignId, phase, ...change };
    const parameters = Object.entries(next).flatMap(([name, value]) =>
      value == null ? [] : [[name, String(value)]],
    );
    return links.page('metrics', undefined, Object.fromEntries(parameters));
  };
  const choice = periods.map(
    (n) =>
      html`<a href="${link({ days: n })}"${n === days ? html` aria-current="true"` : undefined}>${n} days</a> `,
  );
  const only = [
    campaignId !== undefined &&
      html`<p>Only campaign <strong>${campaignId}</strong>. <a href="${link({ campaign: null })}">Show all campaigns</a></p>`,
    phase !== undefined &&
      html`<p>Only phase <strong>${phase}</strong>. <a href="${link({ phase: null })}">Show all phases</a></p>`,
  ].filter((one) => one !== false);
  const records = found.rows.filter(
    ({ record }) =>
      (campaignId === undefined || record.campaignId === campaignId) &&
      (phase === undefined || record.phase === phase),
  );
  const content = html`<h1>${title}</h1>
<nav aria-label="Period"><p>${choice}</p></nav>
${only}
<p class="quiet">${figures.from} to ${figures.to}, compared with the ${days} days before, up to the same time of day. ${sourceOf(found)}</p>
${figuresList(figures.now, found.isCut ? undefined : figures.before)}
<p class="quiet">The average latency is weighted by agents. The p95 is the highest of a record.</p>
<h2>Cost by day</h2>
${costChart(figures.days)}
<h2>Campaigns</h2>
${groupTable('Campaign', figures.campaigns, (name) => link({ campaign: name }))}
<h2>Phases</h2>
${groupTable('Phase', figures.phases, (name) => link({ phase: name }))}
<h2>Latest records</h2>
${records.length === 0 ? html`<p>There is no record.</p>` : recordTable(records.slice(0, shownRecords))}`;
  return { title, content, newsSeconds: newsSeconds[found.source] };
}

function sourceOf({ source, mirroredAt, isCut, fault, rows }: RecentRecords): Html {
  const cut = isCut ? html` Only the newest ${count(rows.length)} records are counted.` : undefined;
  if (source === 'dataverse')
    return html`The records come from Dataverse, because the table is not mirrored.${cut}`;
  const newer =
    fault === undefined
      ? html`; newer records come from Dataverse`
      : html`; newer records are missing: ${fault}`;
  return html`The records come from the mirror${mirroredAt && html`, which read them at ${time(mirroredAt)}`}${newer}.${cut}`;
}

const dollars = (value: number): string =>
  value.toLocaleString('en-US', {
    style: 'currency',
    currency: 'USD',
    minimumFractionDigits: 2,
    maximumFractionDigits: value < 10 ? 4 : 2,
  });
const percent = (value: number): string => `${value.toFixed(1)} %`;
const milliseconds = (value: number): string => `${count(Math.round(value))} ms`;
const whole = (value: number): string => count(Math.round(value));

const shownFigures: [term: string, name: keyof Figures, text: (value: number) => string][] = [
  ['Records', 'records', whole],
  ['Cost', 'costUSD', dollars],
  ['Tokens in', 'tokensIn', whole],
  ['Tokens out', 'tokensOut', whole],
  ['Agents', 'agentsTotal', whole],
  ['Successful agents', 'successRate', percent],
  ['Assets', 'assetsGenerated', whole],
  ['Average latency', 'latencyAvgMs', milliseconds],
  ['Highest p95 latency', 'latencyP95Ms', milliseconds],
];

/** A dash where no record has the value. */
const shown = (value: number | null, text: (value: number) => string): string =>
  value === null ? '–' : text(value);

/** @param before undefined if not all records of the period before are known */
function figuresList(now: Figures, before: Figures | undefined): Html {
  return html`<dl>${shownFigures.map(
    ([term, name, text]) =>
      html`<div><dt>${term}</dt><dd>${shown(now[name], text)}</dd>${before && html`<dd class="quiet">${changeOf(now[name], before[name], name, text)}</dd>`}</div>`,
  )}</dl>`;
}

/** The change in words. A rate is compared in points, everything else in percent. */
function changeOf(
  now: number | null,
  before: number | null,
  name: keyof Figures,
  text: (value: number) => string,
): string {
  if (before === null || (before === 0 && name === 'records')) return 'nothing before';
  if (now === null) return `before: ${text(before)}`;
  const sign = (value: number): string => (value > 0 ? '+' : value < 0 ? '−' : '±');
  if (name === 'successRate') return `${sign(now - before)}${Math.abs(now - before).toFixed(1)} points`;
  if (before === 0) return `before: ${text(before)}`;
  const change = (100 * (now - before)) / Math.abs(before);
  return `${sign(change)}${count(Math.round(Math.abs(change)))} %, before: ${text(before)}`;
}

function costChart(days: readonly { day: string; figures: Figures }[]): Html {
  const bars = days.map(({ day, figures }) => ({
    value: figures.costUSD ?? 0,
    label: `${day}: ${shown(figures.costUSD, dollars)}, ${count(figures.records)} records`,
  }));
  const table = dataTable(
    'By day',
    [
      { name: 'Day', cell: ({ day }: (typeof days)[number]) => day },
      ...shownFigures.map(([name, key, text]) => ({
        name,
        isNumber: true,
        cell: ({ figures }: (typeof days)[number]) => shown(figures[key], text),
      })),
    ],
    days.toReversed(),
  );
  return html`${barChart(`Cost by day, from ${days[0]?.day} to ${days.at(-1)?.day}. The table below has the figures.`, bars)}<details><summary>Figures of each day</summary>${table}</details>
`;
}

function groupTable(name: string, groups: readonly Group[], link: (name: string) => string): Html {
  if (groups.length === 0) return html`<p>There is no record.</p>`;
  return dataTable(
    'The most expensive ones first',
    [
      {
        name,
        cell: (group: Group) =>
          group.name === '' ? 'none' : html`<a href="${link(group.name)}">${group.name}</a>`,
      },
      ...shownFigures.map(([term, key, text]) => ({
        name: term,
        isNumber: true,
        cell: ({ now }: Group) => shown(now[key], text),
      })),
      {
        name: 'Cost before',
        isNumber: true,
        cell: ({ before }: Group) => shown(before.costUSD, dollars),
      },
    ],
    groups,
  );
}

function recordTable(rows: readonly MetricsRow[]): Html {
  const number = (name: string, of: (row: MetricsRow) => unknown, text: (value: number) => string) => ({
    name,
    isNumber: true,
    cell: (row: MetricsRow) => {
      const value = of(row);
      return value === null || value === undefined ? '–' : text(Number(value));
    },
  });
  return dataTable(
    `The newest ${count(rows.length)} records, times in UTC`,
    [
      {
        name: 'Measured',
        cell: ({ record }: MetricsRow) => (record.createdAt ? time(record.createdAt) : '–'),
      },
      { name: 'Campaign', cell: ({ record }) => record.campaignId ?? '–' },
      { name: 'Run', cell: ({ record }) => record.runId ?? '–' },
      { name: 'Phase', cell: ({ record }) => record.phase ?? '–' },
      number('Cost', ({ record }) => record.costUSD, dollars),
      number('Tokens in', ({ record }) => record.tokensIn, whole),
      number('Tokens out', ({ record }) => record.tokensOut, whole),
      number('Successful', ({ record }) => record.successRate, percent),
      number('p95', ({ record }) => record.latencyP95Ms, milliseconds),
    ],
    rows,
  );
}

import type { TableReport } from '../../../sync/documents/report.ts';
import type { HistoryLine } from '../../../sync/history/history-line.ts';
import { type Html, html } from '../../pages/html.ts';
import { count, seconds, time } from '../../pages/page-format.ts';
import type { Links } from '../links.ts';
import { outcomeOf } from './words.ts';

/** A column of a table: heading, cell, and whether it is a number. */
export interface Column<T> {
  name: string;
  cell: (row: T) => Html | string | undefined;
  isNumber?: boolean;
}

/** A table whose first column names the row. On a narrow screen each row becomes a block. */
export function dataTable<T>(caption: string, columns: readonly Column<T>[], rows: readonly T[]): Html {
  const heads = columns.map(
    ({ name, isNumber }) => html`<th scope="col"${isNumber ? html` class="number"` : undefined}>${name}</th>`,
  );
  const cells = (row: T): Html[] =>
    columns.map(({ name, cell, isNumber }, n) =>
      n === 0
        ? html`<th scope="row">${cell(row)}</th>`
        : html`<td data-label="${name}"${isNumber ? html` class="number"` : undefined}>${cell(row)}</td>`,
    );
  return html`<table>
<caption>${caption}</caption>
<thead><tr>${heads}</tr></thead>
<tbody>
${rows.map((row) => html`<tr>${cells(row)}</tr>\n`)}</tbody>
</table>
`;
}

const number = <T>(name: string, of: (row: T) => number | undefined): Column<T> => ({
  name,
  isNumber: true,
  cell: (row) => count(of(row) ?? 0),
});

/** The syncs of the history, newest first. */
export function runsTable(runs: readonly HistoryLine[], links: Links): Html {
  const columns: Column<HistoryLine>[] = [
    {
      name: 'Started',
      cell: ({ runId, startedAt }) => html`<a href="${links.page('runs', runId)}">${time(startedAt)}</a>`,
    },
    {
      name: 'Outcome',
      cell: (run) => {
        const { text, isBad } = outcomeOf(run);
        return html`<span class="${isBad ? 'bad' : 'good'}">${text}</span>`;
      },
    },
    {
      name: 'Started by',
      cell: ({ trigger, only }) =>
        html`${trigger}${only && html` <span class="quiet">for ${only.join(', ')}</span>`}`,
    },
    number('Read', ({ rowsRead }) => rowsRead),
    number('Added', ({ added }) => added),
    number('Updated', ({ updated }) => updated),
    number('Deleted', ({ deleted }) => deleted),
    number('Requests', ({ requests }) => requests),
    {
      name: 'Seconds',
      isNumber: true,
      cell: ({ startedAt, finishedAt }) => seconds((Date.parse(finishedAt) - Date.parse(startedAt)) / 1000),
    },
  ];
  return dataTable('Newest first, times in UTC', columns, runs);
}

/** The tables of a run. Those that need attention come first, then those that changed. */
export function reportTable(tables: readonly TableReport[], links: Links): Html {
  const weight = ({ error, added, updated, deleted }: TableReport): number =>
    error !== undefined ? Number.POSITIVE_INFINITY : added + updated + deleted;
  const columns: Column<TableReport>[] = [
    { name: 'Table', cell: ({ name }) => html`<a href="${links.page('tables', name)}">${name}</a>` },
    {
      name: 'State',
      cell: ({ state, error }) =>
        html`<span class="${error !== undefined ? 'bad' : state === 'merged' ? 'good' : 'live'}">${state}${error !== undefined && state !== 'failed' ? ', needs attention' : ''}</span>`,
    },
    {
      name: 'Strategy',
      cell: ({ strategy, reason }) =>
        html`${strategy}${reason && html` <span class="quiet">${reason}</span>`}`,
    },
    number('Read', ({ rowsRead }) => rowsRead),
    number('Added', ({ added }) => added),
    number('Updated', ({ updated }) => updated),
    number('Deleted', ({ deleted }) => deleted),
    number('Unchanged', ({ unchanged }) => unchanged),
    number('Pages', ({ pages }) => pages),
    number('Requests', ({ requests }) => requests),
    number('Retries', ({ retries }) => retries),
    number('Throttled', ({ throttled }) => throttled),
    { name: 'Seconds', isNumber: true, cell: (table) => seconds(table.seconds) },
  ];
  const sorted = tables.toSorted((a, b) => weight(b) - weight(a));
  return dataTable('Tables that need attention come first, then those that changed most', columns, sorted);
}

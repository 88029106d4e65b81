import { readHistory } from '../../../sync/history/run-history.ts';
import type { DisplayName } from '../../../target/mirror-reads.ts';
import type { State, TableState } from '../../../target/state.ts';
import { type Html, html } from '../../pages/html.ts';
import { count, time } from '../../pages/page-format.ts';
import { Problem } from '../../problem.ts';
import type { PageContent } from '../layout.ts';
import { attempt } from '../parts/attempt.ts';
import { lineChart } from '../parts/chart.ts';
import { dataTable } from '../parts/run-tables.ts';
import { changesTable } from '../parts/schema-changes.ts';
import { ago, faultOf, staleTables, withoutState } from '../parts/words.ts';
import { type PageContext, readRecent } from './page-context.ts';

/** `pages/tables`: all tables of the mirror, those that need attention first. */
export async function tablesPage(context: PageContext): Promise<PageContent> {
  const { links, now } = context;
  const { state, last } = await readRecent(context);
  const stale = new Map(staleTables(state, now));
  const reports = new Map(last?.entities.map((table) => [table.name, table]));
  const rows = Object.entries(state?.entities ?? {}).map(([name, table]) => ({
    name,
    table,
    error: reports.get(name)?.error,
    isConfigured: state?.configured?.includes(name) ?? true,
    isStale: stale.has(name),
  }));
  for (const [name, { error }] of reports)
    if (error !== undefined && !Object.hasOwn(state?.entities ?? {}, name))
      rows.push({ name, table: undefined as never, error, isConfigured: true, isStale: false });
  rows.sort(
    (a, b) =>
      Number(b.error !== undefined) - Number(a.error !== undefined) ||
      Number(b.isStale) - Number(a.isStale) ||
      (a.name < b.name ? -1 : 1),
  );
  const table = dataTable(
    'Tables that need attention come first',
    [
      { name: 'Table', cell: (row) => html`<a href="${links.page('tables', row.name)}">${row.name}</a>` },
      {
        name: 'State',
        cell: ({ error, isConfigured, isStale }) =>
          error !== undefined
            ? html`<span class="bad">needs attention</span>`
            : isConfigured
              ? isStale
                ? html`<span class="bad">out of date</span>`
                : html`<span class="good">synced</span>`
              : html`<span class="live">no longer synced</span>`,
      },
      { name: 'In the mirror', cell: ({ table: of }) => of && html`<code>${of.table.name}</code>` },
      { name: 'Rows', isNumber: true, cell: ({ table: of }) => of && count(of.rows) },
      { name: 'Columns', isNumber: true, cell: ({ table: of }) => of && count(of.table.columns.length) },
      { name: 'Strategy', cell: ({ table: of }) => of?.strategy },
      { name: 'Last read', cell: ({ table: of }) => of && ago(of.syncedAt, now) },
    ],
    rows,
  );
  const content = html`<h1>Tables</h1>
${rows.length === 0 ? withoutState(last !== undefined) : table}`;
  return { title: 'Tables', content };
}

const historyDays = 30;

/** `pages/tables/{table}`: one table: how it is read, its rows over time, its columns and references. */
export async function tablePage(context: PageContext): Promise<PageContent> {
  const { services, links, item = '', now, reads } = context;
  const { state, last } = await readRecent(context);
  const report = last?.entities.find(({ name }) => name === item);
  const known = Object.hasOwn(state?.entities ?? {}, item) ? state!.entities[item]! : undefined;
  if (known === undefined && report === undefined) {
    throw new Problem(404, `The mirror has no table ${item}.`, {
      hint: 'The page of all tables lists them.',
    });
  }
  const since = new Date(now.getTime() - historyDays * 86_400_000);
  const { runs } = await readHistory(services, { since, limit: 2000 });
  const changes = runs.flatMap((run) => {
    const line = Object.hasOwn(run.changed ?? {}, item) ? run.changed![item]! : undefined;
    return line === undefined ? [] : [{ run, line }];
  });
  const points = changes
    .flatMap(({ run, line }) =>
      line.rows === undefined ? [] : [{ at: Date.parse(run.finishedAt), value: line.rows }],
    )
    .toReversed();
  const [shownNames, schemaChanges] = known
    ? await Promise.all([
        attempt(services, 'What Dataverse calls the columns', () => reads.displayNames(known.table)),
        attempt(services, 'The changes of the schema', () => reads.schemaChanges(20, known.table)),
      ])
    : [{ value: [] }, { value: [] }];
  const names = shownNames.value ?? [];
  const own = names.find(({ column_name: column }) => column === null);
  const content = html`<h1>${item}</h1>
${own?.display_name ? html`<p><strong>${own.display_name}</strong>${own.description ? html`: ${own.description}` : undefined}</p>` : undefined}
${report?.error === undefined ? undefined : faultOf(report, links)}
${known && html`<p>${count(known.rows)} rows in <code>${known.table.name}</code>, read ${ago(known.syncedAt, now)} by the strategy ${known.strategy}.${report?.reason && html` Why: ${report.reason}.`}</p>`}
${points.length < 2 ? undefined : html`<h2>Rows</h2>${lineChart(`Rows of ${item} over the last ${historyDays} days: from ${count(points[0]!.value)} to ${count(points.at(-1)!.value)}.`, points)}<p class="quiet">From ${count(points[0]!.value)} to ${count(points.at(-1)!.value)} rows.</p>`}
${changes.length === 0 ? undefined : latestChanges(changes.slice(0, 20), context)}
${shownNames.fault}
${known && columnsOf(known, state!, context, names)}
${schemaChanges.fault ?? (schemaChanges.value.length === 0 ? undefined : html`<h2>Changes of the schema</h2>${changesTable(schemaChanges.value)}`)}`;
  return { title: item, content };
}

type Change = {
  run: Awaited<ReturnType<typeof readHistory>>['runs'][number];
  line: NonNullable<Awaited<ReturnType<typeof readHistory>>['runs'][number]['changed']>[string];
};

function latestChanges(changes: readonly Change[], { links }: PageContext): Html {
  return html`<h2>Latest changes</h2>
${dataTable(
  'Syncs that changed the table, newest first',
  [
    {
      name: 'Sync',
      cell: ({ run }: Change) => html`<a href="${links.page('runs', run.runId)}">${time(run.finishedAt)}</a>`,
    },
    { name: 'Added', isNumber: true, cell: ({ line }) => count(line.added ?? 0) },
    { name: 'Updated', isNumber: true, cell: ({ line }) => count(line.updated ?? 0) },
    { name: 'Deleted', isNumber: true, cell: ({ line }) => count(line.deleted ?? 0) },
    { name: 'What happened', cell: ({ line }) => line.error ?? line.reread },
  ],
  changes,
)}`;
}

function columnsOf(
  known: TableState,
  state: State,
  { links }: PageContext,
  names: readonly DisplayName[],
): Html {
  const nameOf = new Map(names.map((one) => [one.column_name, one]));
  const { table } = known;
  const targets = new Map(table.foreignKeys.map((key) => [key.column, key.targets]));
  const link = (name: string): Html =>
    Object.hasOwn(state.entities, name)
      ? html`<a href="${links.page('tables', name)}">${name}</a> `
      : html`${name} `;
  const references = Object.values(state.entities).flatMap(({ table: other }) =>
    other.foreignKeys
      .filter((key) => key.targets.includes(table.logicalName))
      .map((key) => html`<li>${link(other.logicalName)}by <code>${key.column}</code></li>`),
  );
  return html`<h2>Columns</h2>
${dataTable(
  `${count(table.columns.length)} columns`,
  [
    {
      name: 'Column',
      cell: (column: (typeof table.columns)[number]) =>
        html`<code>${column.name}</code>${column.name === table.primaryKey ? ' key' : undefined}`,
    },
    {
      name: 'Name in Dataverse',
      cell: ({ name }) => {
        const { display_name: shown, description } = nameOf.get(name) ?? {};
        return html`${shown ?? undefined}${description ? html` <span class="quiet">${description}</span>` : undefined}`;
      },
    },
    { name: 'Type in SQLite', cell: ({ type }) => type },
    { name: 'Type in Dataverse', cell: ({ edmType }) => edmType },
    { name: 'Refers to', cell: ({ name }) => html`${(targets.get(name) ?? []).map(link)}` },
  ],
  table.columns,
)}
${references.length === 0 ? undefined : html`<h2>Referred to by</h2><ul>${references}</ul>`}`;
}

import type { TableReport } from '../../../sync/documents/report.ts';
import type { HistoryLine } from '../../../sync/history/history-line.ts';
import type { RunStatus } from '../../../sync/run/run-status.ts';
import type { State, TableState } from '../../../target/state.ts';
import { type Html, html } from '../../pages/html.ts';
import { count } from '../../pages/page-format.ts';
import type { Links } from '../links.ts';

/** How long ago a time is, in the largest unit that fits, with the time itself for those who want it. */
export function ago(iso: string, now: Date): Html {
  const past = (now.getTime() - Date.parse(iso)) / 1000;
  if (!Number.isFinite(past)) return html`${iso}`;
  return html`<time datetime="${iso}" title="${iso}">${duration(Math.max(0, past))} ago</time>`;
}

/** 90 → `1 minute` */
export function duration(inSeconds: number): string {
  const units: [string, number][] = [
    ['day', 86_400],
    ['hour', 3600],
    ['minute', 60],
    ['second', 1],
  ];
  const [unit, size] = units.find(([, length]) => inSeconds >= length) ?? ['second', 1];
  const value = Math.floor(inSeconds / size);
  return `${count(value)} ${unit}${value === 1 ? '' : 's'}`;
}

/** Longer without a read than this, in seconds, and a table is stale. */
const staleSeconds = 86_400;

/** The tables that are synced and were not read for a day, with the state of each. */
export function staleTables(state: State | undefined, now: Date): [name: string, table: TableState][] {
  return Object.entries(state?.entities ?? {}).filter(
    ([name, { syncedAt }]) =>
      (state?.configured?.includes(name) ?? true) &&
      now.getTime() - Date.parse(syncedAt) > staleSeconds * 1000,
  );
}

/** What a page says that needs the state of the mirror, while there is none. */
export function withoutState(hasRuns: boolean): Html {
  return hasRuns
    ? html`<p>The state of the mirror cannot be read: <code>state.json</code> is absent or damaged. The next sync makes it again from the database.</p>`
    : html`<p>There is nothing to show before the first sync.</p>`;
}

/** How a run ended, in a few words. They say everything that a colour says. */
export function outcomeOf({ phase, failed = 0 }: Pick<HistoryLine, 'phase' | 'failed'>): {
  text: string;
  isBad: boolean;
} {
  if (phase !== 'complete') return { text: phase, isBad: true };
  if (failed === 0) return { text: 'complete', isBad: false };
  return {
    text: `complete, ${failed === 1 ? '1 table needs' : `${failed} tables need`} attention`,
    isBad: true,
  };
}

/** A button that sends a POST. The script of the pages does it with the key; without the script it is not shown. */
export function postButton(text: string, address: string, body: object, confirm?: string): Html {
  return html`<button type="button" data-post="${address}" data-body="${JSON.stringify(body)}"${confirm && html` data-confirm="${confirm}"`} hidden>${text}</button>`;
}

/** What is wrong with a run and its tables, each with what to do. */
export function attention(run: RunStatus | undefined, links: Links): Html | undefined {
  if (run === undefined) return undefined;
  const faults = run.entities.filter(({ error }) => error !== undefined);
  if (faults.length === 0 && run.error === undefined) return undefined;
  return html`<h2>Needs attention</h2>
${run.error === undefined ? undefined : fault(html`The sync`, run)}
${faults.map((table) => faultOf(table, links))}`;
}

/** What is wrong with a table. Deletes that were held back can be allowed here, once. */
export function faultOf(table: TableReport, links: Links): Html {
  const { name, heldBack = 0 } = table;
  const allow =
    heldBack === 0
      ? undefined
      : html`<p>${postButton(
          `Allow ${count(heldBack)} deletes once`,
          links.route('sync'),
          { allowMassDelete: [name] },
          `Start a sync that deletes ${count(heldBack)} rows of ${name} from the mirror?`,
        )}</p>`;
  return fault(html`<a href="${links.page('tables', name)}">${name}</a>`, table, allow);
}

function fault(subject: Html, { error, hint }: { error?: string; hint?: string }, more?: Html): Html {
  return html`<div class="fault"><p><strong>${subject}</strong>: ${error}</p>${hint && html`<p>What to do: ${hint}</p>`}${more}</div>
`;
}

import { damageSubject } from '../../../sync/check/announce-check.ts';
import type { CheckStatus, Checks } from '../../../sync/check/check-status.ts';
import { type Html, html } from '../../pages/html.ts';
import { bytes, count, time } from '../../pages/page-format.ts';

/** Faults that the page shows; `GET /api/verify` has more. */
const shownFaults = 3;

/** The latest check of the database in words: how far it is, and what the last complete one found. */
export function checkSection({ check, checked }: Checks): Html | undefined {
  if (check === null && checked === null) return undefined;
  return html`<h2>Check of the database</h2>
${check?.state === 'running' ? progressOf(check) : undefined}
${check?.state === 'failed' ? fault('The last check failed', check.error, check.hint) : undefined}
${checked === null ? undefined : resultOf(checked)}`;
}

function progressOf({ progress, startedAt }: CheckStatus): Html {
  const { phase, references } = progress ?? {};
  const part = (phase === 'references' ? references : progress?.bytes) ?? { done: 0, total: 0 };
  const what =
    progress === undefined
      ? html`It begins.`
      : phase === 'references'
        ? html`References are counted: ${count(part.done)} of ${count(part.total)} done.`
        : html`Pages are read: ${bytes(part.done)} of ${bytes(part.total)}.`;
  return html`<p><label for="check">A check was started at ${time(startedAt)}. ${what}</label></p>
<progress id="check" value="${part.done}" max="${Math.max(1, part.total)}"></progress>
`;
}

function resultOf(checked: NonNullable<Checks['checked']>): Html {
  const { finishedAt, database, faultCount, faults, hint, miscounted, danglingReferences } = checked;
  const damage =
    faultCount === 0
      ? html`<p>The check of ${time(finishedAt)} read ${bytes(database.bytes)} and found no damage.</p>
`
      : faults
          .slice(0, shownFaults)
          .map(({ database: name, text }, n) =>
            fault(damageSubject(name), `${text}.`, n === 0 ? hint : undefined),
          );
  const counts =
    miscounted.length === 0
      ? undefined
      : html`<p>Row counts were wrong, and the next merge of the rows corrects them: ${miscounted.map(({ table }) => table).join(', ')}.</p>
`;
  const references =
    danglingReferences === undefined
      ? undefined
      : html`<p>References without a target: ${count(danglingReferences)}.</p>
`;
  return html`${damage}${counts}${references}`;
}

function fault(subject: string, error = '', hint: string | undefined): Html {
  return html`<div class="fault"><p><strong>${subject}</strong>: ${error}</p>${hint && html`<p>What to do: ${hint}</p>`}</div>
`;
}

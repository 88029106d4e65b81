import type { ExportStatus } from '../../../sync/export/export-status.ts';
import { type Html, html } from '../../pages/html.ts';
import { count, time } from '../../pages/page-format.ts';

const words: Record<ExportStatus['state'], string> = {
  complete: 'The landing zone has all that the mirror has.',
  running: 'Changed tables are being written to the landing zone.',
  behind: 'The landing zone lacks changes. They are written with the next sync at the latest.',
  failed: 'The landing zone lacks changes.',
};

/** The export to Microsoft Fabric in words: how far it is, what failed, and which values it could not write. */
export function exportSection({ state, exportedAt, failures, tables, unstorable }: ExportStatus): Html {
  return html`<h2>Export to Microsoft Fabric</h2>
<p>${words[state]} ${exportedAt === undefined ? undefined : html`All was written at ${time(exportedAt)}.`} ${count(tables.exported)} of ${count(tables.total)} tables are written as a whole.</p>
${failures.map(
  ({
    error,
    hint,
    table,
    since,
  }) => html`<div class="fault"><p><strong>${table ?? 'All tables'}</strong>, since ${time(since)}: ${error}</p>${hint && html`<p>What to do: ${hint}</p>`}</div>
`,
)}${
  unstorable.length === 0
    ? undefined
    : html`<p>Values that Parquet cannot have in the type of their column, and that are NULL there: ${unstorable.map(({ table, column, values }) => `${table}.${column} (${count(values)})`).join(', ')}.</p>
`
}`;
}

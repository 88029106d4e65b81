import type { SchemaChangeKind } from '../../../schema/migration.ts';
import type { SchemaChangeLine } from '../../../target/mirror-reads.ts';
import { type Html, html } from '../../pages/html.ts';
import { time } from '../../pages/page-format.ts';
import { dataTable } from './run-tables.ts';

/** Signs and words, so that no colour is needed. */
const kinds: Readonly<Record<SchemaChangeKind, string>> = {
  'new-table': '+ new table',
  'renamed-table': '~ renamed table',
  'new-column': '+ new column',
  'restored-column': '+ restored column',
  'recreated-column': '! recreated column',
  'removed-column': '− removed column',
  widened: '~ widened',
  retyped: '! retyped',
  'new-key': '! new key',
  'dropped-table': '− dropped table',
  'foreign-keys': '→ references',
};

/** What syncs changed in the schema of the mirror, newest first. */
export function changesTable(changes: readonly SchemaChangeLine[]): Html {
  if (changes.length === 0) return html`<p>No sync has changed the schema.</p>`;
  return dataTable(
    'What syncs changed in the schema, newest first, times in UTC',
    [
      { name: 'When', cell: (one: SchemaChangeLine) => time(one.at) },
      {
        name: 'Change',
        cell: ({ change }) => (Object.hasOwn(kinds, change) ? kinds[change as SchemaChangeKind] : change),
      },
      {
        name: 'Where',
        cell: (one) =>
          html`<code>${one.table_name}${one.column_name === null ? '' : `.${one.column_name}`}</code>`,
      },
      { name: 'What', cell: ({ detail }) => detail },
    ],
    changes,
  );
}

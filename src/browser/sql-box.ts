import { element, once } from './element.ts';
import { QueryError } from './read/mirror-reader.ts';
import type { Format } from './read/worker-messages.ts';
import { resultTable, saveButtons } from './result-table.ts';
import type { Shown } from './shown.ts';
import { quoted } from './sql/quoted.ts';

const mostShown = 1000;
const mostSuggestions = 8;

/**
 * A box for SQL, which can only read. `clear` removes the result, which is of the state that was shown; `isUsed` says whether
 * there is one, or a statement runs.
 */
export function sqlBox(shown: Shown): { box: HTMLElement; clear: () => void; isUsed: () => boolean } {
  const { reader, catalog } = shown;
  const first = catalog.relations.find(({ name }) => !name.startsWith('_'))?.name;
  const box = element('textarea', {
    id: 'sql',
    rows: '4',
    spellcheck: 'false',
    autocapitalize: 'off',
    'aria-describedby': 'sql-help',
    'aria-controls': 'suggestions',
  });
  box.value =
    shown.address.get('sql') ??
    (first === undefined ? '' : `SELECT count(*) AS n FROM ${quoted.name(first)}`);
  const suggestions = element('p', { id: 'suggestions', 'aria-label': 'Names that fit' });
  const result = element('div');
  const run = element('button', { type: 'button' }, 'Run');
  let isRunning = false;

  /** The name that is being written. */
  const word = (): string => /[\w"]*$/.exec(box.value.slice(0, box.selectionStart))![0].replace('"', '');
  const complete = (name: string): void => {
    const at = box.selectionStart;
    const begin = at - /[\w"]*$/.exec(box.value.slice(0, at))![0].length;
    const written = /^[A-Za-z_]\w*$/.test(name) ? name : quoted.name(name);
    box.setRangeText(written, begin, at, 'end');
    box.focus();
    suggestions.replaceChildren();
  };
  const names = async (): Promise<string[]> => {
    const relations = catalog.relations.map(({ name }) => name);
    const used = relations.filter((name) => box.value.includes(name));
    const columns = await Promise.all(used.slice(0, 4).map((name) => catalog.columns(name)));
    return [...new Set([...columns.flat().map(({ name }) => name), ...relations])];
  };
  const suggest = async (): Promise<string[]> => {
    const begin = word().toLowerCase();
    if (begin.length < 2) return [];
    const fitting = (await names()).filter(
      (name) => name.toLowerCase().startsWith(begin) && name.toLowerCase() !== begin,
    );
    return fitting.slice(0, mostSuggestions);
  };
  box.addEventListener('input', async () => {
    const found = await suggest().catch(() => []);
    suggestions.replaceChildren(
      ...found.flatMap((name) => {
        const button = element('button', { type: 'button', class: 'small' }, name);
        button.addEventListener('click', () => complete(name));
        return [button, ' '];
      }),
    );
  });
  box.addEventListener('keydown', async (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      void once(run, execute);
    } else if (event.key === ' ' && event.ctrlKey) {
      event.preventDefault();
      const [name] = await suggest().catch(() => []);
      if (name !== undefined) complete(name);
    }
  });

  async function execute(): Promise<void> {
    const sql = box.value;
    const state = reader.etag;
    const began = performance.now();
    shown.say('Running …');
    isRunning = true;
    try {
      const table = await reader.query(sql, [], { maxRows: mostShown, state });
      const seconds = ((performance.now() - began) / 1000).toFixed(2);
      const count = `${table.isCut ? 'The first ' : ''}${table.rows.length.toLocaleString('en-US')} rows in ${seconds} s`;
      const save = (format: Format) => reader.save(sql, [], { format, state });
      result.replaceChildren(resultTable(table, { caption: count }), saveButtons('result', save, shown));
      shown.say(count);
    } catch (error) {
      if (error instanceof QueryError && error.isChanged) shown.fail(error);
      else {
        shown.say('');
        result.replaceChildren(element('p', { class: 'fault', role: 'alert' }, (error as Error).message));
      }
    } finally {
      isRunning = false;
    }
    // Who stopped it by keyboard goes on from here.
    if (document.activeElement?.id === 'stop') run.focus();
  }
  run.addEventListener('click', () => void once(run, execute));

  const examples = examplesOf(shown).map(([text, sql]) => {
    const button = element('button', { type: 'button', class: 'small' }, text);
    button.addEventListener('click', () => {
      box.value = sql;
      box.focus();
    });
    return element('li', {}, button);
  });
  const details = element(
    'details',
    { open: shown.address.has('sql') },
    element('summary', {}, 'Ask in SQL'),
    element('p', {}, element('label', { for: 'sql' }, 'One statement that reads')),
    box,
    element(
      'p',
      { id: 'sql-help', class: 'quiet' },
      'Ctrl+Enter runs it, Ctrl+Space completes a name. A query that counts a large table reads that table.',
    ),
    suggestions,
    element('p', {}, run),
    element('details', {}, element('summary', {}, 'Examples'), element('ul', {}, ...examples)),
    result,
  );
  return {
    box: details,
    clear: () => result.replaceChildren(),
    isUsed: () => isRunning || result.firstChild !== null,
  };
}

function examplesOf({ catalog }: Shown): [text: string, sql: string][] {
  const examples: [string, string][] = [
    [
      'Tables, their rows, and when each was read last',
      'SELECT entity, table_name, rows, synced_at\nFROM _sync_state\nORDER BY rows DESC',
    ],
    [
      'The latest changes of the schema',
      'SELECT at, table_name, column_name, change, detail\nFROM _sync_schema_changes\nORDER BY at DESC',
    ],
    [
      'What was deleted last',
      'SELECT table_name, id, deleted_at\nFROM _sync_deleted\nORDER BY deleted_at DESC',
    ],
    ['Which tables refer to which', 'SELECT table_name, column_name, target_table\nFROM _sync_foreign_keys'],
  ];
  const link = catalog.references.find(
    ({ table, target }) => table !== target && catalog.has(table) && catalog.has(target),
  );
  if (link !== undefined) {
    const { table, column, target } = link;
    const name = quoted.name(column);
    examples.push([
      `How many ${table} refer to each of ${target}`,
      `SELECT ${name}, count(*) AS n\nFROM ${quoted.name(table)}\nWHERE ${name} IS NOT NULL\nGROUP BY ${name}\nORDER BY n DESC`,
    ]);
  }
  return examples.filter(([, sql]) => catalog.has(/FROM "?(\w+)"?/.exec(sql)![1]!));
}

import { element, once } from './element.ts';
import type { Cell, Format } from './read/worker-messages.ts';
import { resultTable, saveButtons, textOf } from './result-table.ts';
import type { Shown } from './shown.ts';
import { sqlite } from './sql/dialects.ts';
import { type Filter, filterOf, filterText, operators } from './sql/filter.ts';
import { pageRows, positionColumn, statementOf, type View } from './sql/page-statement.ts';

/** A text is shown up to here, in characters. */
const shownText = 200;

/** The rows of a table or view: filtered, sorted, page by page. */
export async function rowsView(shown: Shown, table: string): Promise<Node[]> {
  const { reader, catalog, address } = shown;
  const state = reader.etag;
  const columns = await catalog.columns(table);
  const names = new Set(columns.map(({ name }) => name));
  const key = await catalog.naming(table);
  const labels = await catalog.labels(table);
  const whole = await catalog.leading(table);
  const texts = address.getAll('f');
  const filters = texts.map((text) => filterOf(text, columns)).filter((one) => one !== undefined);
  const unknown = texts.filter((text) => filterOf(text, columns) === undefined);
  const sorted = address.get('sort');
  const sort =
    sorted !== null && names.has(sorted) ? { column: sorted, isDescending: address.has('desc') } : undefined;
  const hasRowid = catalog.relations.find(({ name }) => name === table)?.hasRowid === true;
  const { dialect } = catalog;
  const ownKey = await catalog.key(table);
  // A view has none, and a server gives rows in any order. Its first columns name a row.
  const keyColumns =
    ownKey.length > 0 || dialect === sqlite ? ownKey : columns.slice(0, 3).map(({ name }) => name);
  const rowid = hasRowid ? dialect.position([...names], keyColumns) : undefined;
  const view: View = { dialect, table, filters, sort, rowid, key: keyColumns };

  const pages = element('div');
  /** Where the pages up to this one begin. */
  const begins: Pick<View, 'after' | 'offset'>[] = [{}];
  const showPage = async ({ signal }: Shown): Promise<void> => {
    const { sql, parameters } = statementOf({ ...view, ...begins.at(-1) });
    const result = await reader.query(sql, parameters, {
      maxRows: pageRows + 1,
      maxText: shownText,
      whole: [...whole, positionColumn],
      state,
      signal,
    });
    const hasMore = result.rows.length > pageRows;
    const hasPosition = result.columns[0] === positionColumn;
    const page = result.rows.slice(0, pageRows);
    const own = <T>(row: T[]): T[] => (hasPosition ? row.slice(1) : row);
    const rows = page.map(own);
    const first = (begins.length - 1) * pageRows + 1;
    const caption =
      rows.length === 0
        ? 'No rows'
        : `Rows ${first.toLocaleString('en-US')} to ${(first + rows.length - 1).toLocaleString('en-US')}`;
    const cellOf = (name: string, value: Cell): (Node | string)[] =>
      cell(shown, table, key, labels, name, value);
    const shownTable = resultTable(
      { ...result, columns: own(result.columns), rows },
      { caption, head: (name) => headOf(shown, view, name), cell: cellOf },
    );
    const back = element('button', { type: 'button', disabled: begins.length === 1 }, 'Previous');
    const next = element('button', { type: 'button', disabled: !hasMore }, 'Next');
    // One move at a time: the next one begins at the rows that are shown then.
    const turnOnce = (move: () => unknown) => void once(back, () => once(next, () => turn(move)));
    back.addEventListener('click', () => turnOnce(() => begins.pop()));
    next.addEventListener('click', () => {
      const last = page.at(-1)!;
      const isNull =
        sort !== undefined && last[result.columns.indexOf(sort.column, hasPosition ? 1 : 0)] === null;
      const after = hasPosition ? { position: last[0]!, isNull } : undefined;
      turnOnce(() => begins.push({ after, offset: begins.length * pageRows }));
    });
    pages.replaceChildren(shownTable, element('p', {}, back, ' ', next));
  };
  const turn = async (move: () => unknown): Promise<void> => {
    const before = [...begins];
    move();
    // That of now: these rows are still shown if another view could not be.
    const { signal } = shown;
    shown.say('Reading …');
    try {
      await showPage(shown);
      if (signal.aborted) return;
      shown.sayRead();
      pages.querySelector<HTMLElement>('.frame')?.focus();
    } catch (error) {
      begins.splice(0, begins.length, ...before);
      if (!signal.aborted) shown.fail(error);
    }
  };
  await showPage(shown);

  const statement = statementOf(view, true).sql;
  const copy = element('button', { type: 'button' }, 'Copy as SQL');
  copy.addEventListener('click', () => {
    const box = document.querySelector<HTMLTextAreaElement>('#sql');
    if (box !== null) box.value = statement;
    navigator.clipboard.writeText(statement).then(
      () => shown.say('Copied.'),
      () => shown.say('The statement is in the SQL box.'),
    );
  });
  const save = (format: Format) => {
    const { sql, parameters } = statementOf({
      ...view,
      rowid: undefined,
      key: rowid !== undefined && dialect === sqlite ? [rowid] : keyColumns,
    });
    return reader.save(sql.replace(/\nLIMIT \d+$/, ''), parameters, { format, state });
  };
  const rows = catalog.rows.get(table);
  return [
    chooser(shown, table),
    element('h2', { tabindex: '-1' }, table),
    element('p', { class: 'quiet' }, rows === undefined ? '' : `${rows.toLocaleString('en-US')} rows`),
    filterForm(
      shown,
      view,
      columns.map(({ name }) => name),
    ),
    ...unknown.map((text) =>
      element('p', { class: 'fault' }, `Not filtered by ${text}: ${table} has no such column or comparison.`),
    ),
    pages,
    saveButtons(table, save, shown),
    element('p', {}, copy),
  ];
}

/** What stands in the address for a view, with another order or other filters. */
function addressOf(
  { table, filters, sort }: View,
  change: Partial<View> = {},
): Record<string, string | string[] | undefined> {
  const next = { filters, sort, ...change };
  return {
    table,
    f: next.filters.map(filterText),
    sort: next.sort?.column,
    desc: next.sort?.isDescending ? '1' : undefined,
  };
}

function chooser({ catalog, go }: Shown, table: string): HTMLElement {
  const options = catalog.relations.map(({ name, kind }) =>
    element('option', { value: name, selected: name === table }, kind === 'view' ? `${name} (view)` : name),
  );
  const select = element('select', { id: 'table' }, ...options);
  const show = (): void => {
    if (select.value !== table) go({ table: select.value });
  };
  // Keys go through the tables one by one: each is chosen, but not meant.
  let isByKeys = false;
  select.addEventListener('pointerdown', () => {
    isByKeys = false;
  });
  select.addEventListener('keydown', ({ key }) => {
    isByKeys = true;
    if (key === 'Enter') show();
  });
  select.addEventListener('change', () => {
    if (!isByKeys) show();
  });
  const button = element('button', { type: 'button' }, 'Open');
  button.addEventListener('click', show);
  return element('p', {}, element('label', { for: 'table' }, 'Table '), select, ' ', button);
}

function headOf(shown: Shown, view: View, name: string): Node {
  const isSorted = view.sort?.column === name;
  const isDescending = isSorted && !view.sort!.isDescending;
  const sign = isSorted ? (view.sort!.isDescending ? ' ↓' : ' ↑') : '';
  const href = shown.link(addressOf(view, { sort: { column: name, isDescending } }));
  return element('a', { href, title: `Sort by ${name}` }, `${name}${sign}`);
}

/** A value: a link to the row that it names or refers to, a code with its label. */
export function cell(
  shown: Shown,
  table: string,
  key: string | undefined,
  labels: ReadonlyMap<string, string>,
  name: string,
  value: Cell,
): (Node | string)[] {
  if (value === null) return [textOf(value)];
  const text = String(value);
  const leadTo = (target: string): Node =>
    element(
      'a',
      { href: shown.link({ table: target, row: text }) },
      text.length > shownText ? `${text.slice(0, shownText)}…` : text,
    );
  if (name === key) return [leadTo(table)];
  const targets = shown.catalog.targetsOf(table, name);
  // With several targets the row view says which one it is.
  if (targets.length === 1) return [leadTo(targets[0]!)];
  const label = labels.get(`${name} ${value}`);
  return label === undefined ? [textOf(value)] : [`${value} `, element('span', { class: 'quiet' }, label)];
}

function filterForm(shown: Shown, view: View, names: readonly string[]): HTMLElement {
  const column = element(
    'select',
    { 'aria-label': 'Column' },
    ...names.map((name) => element('option', {}, name)),
  );
  const operator = element(
    'select',
    { 'aria-label': 'Comparison' },
    ...operators.map((name) => element('option', {}, name)),
  );
  const value = element('input', { 'aria-label': 'Value' });
  const form = element(
    'form',
    {},
    'Only rows where ',
    column,
    ' ',
    operator,
    ' ',
    value,
    ' ',
    element('button', {}, 'Filter'),
  );
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    event.stopPropagation();
    const filter = {
      column: column.value,
      operator: operator.value as Filter['operator'],
      value: value.value,
    };
    shown.go(addressOf(view, { filters: [...view.filters, filter] }));
  });
  const present = view.filters.map((filter) => {
    const { column: name, operator: how, value: what } = filter;
    const without = view.filters.filter((one) => one !== filter);
    const href = shown.link(addressOf(view, { filters: without }));
    return element('li', {}, `${name} ${how} ${what} `, element('a', { href }, 'Remove'));
  });
  return element(
    'div',
    {},
    form,
    ...(present.length > 0 ? [element('ul', { 'aria-label': 'Filters' }, ...present)] : []),
  );
}

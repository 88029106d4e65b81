import { element } from './element.ts';
import type { Cell } from './read/worker-messages.ts';
import { textOf } from './result-table.ts';
import { cell } from './rows-view.ts';
import type { Shown } from './shown.ts';
import { filterOf, filterText } from './sql/filter.ts';
import { quoted } from './sql/quoted.ts';

/** One row: all values, the rows that it refers to, the rows that refer to it, and its history where that is kept. */
export async function rowView(shown: Shown, table: string, id: string): Promise<Node[]> {
  const { reader, catalog, link, signal } = shown;
  const key = await catalog.naming(table);
  const back = element('p', {}, element('a', { href: link({ table }) }, `All rows of ${table}`));
  const heading = element('h2', { tabindex: '-1' }, `${table} ${id}`);
  if (key === undefined) return [back, heading, element('p', {}, 'No single column of it names a row.')];
  const filter = filterOf(
    filterText({ column: key, operator: '=', value: id }),
    await catalog.columns(table),
  )!;
  const parameters: Cell[] = [];
  const { dialect } = catalog;
  const condition = dialect.condition(filter, (value) => dialect.parameter(parameters.push(value)));
  const sql = `SELECT * FROM ${quoted.name(table)} WHERE ${condition}`;
  const { columns: names, rows } = await reader.query(sql, parameters, {
    maxRows: 1,
    maxText: 100_000,
    whole: await catalog.leading(table),
    signal,
  });
  const row = rows[0];
  if (row === undefined) {
    const why = 'The mirror does not have this row: the application user may not see it, or it was deleted.';
    return [back, heading, element('p', {}, why)];
  }
  const labels = await catalog.labels(table);
  const at = (name: string): Cell => row[names.indexOf(name)] ?? null;
  const pairs = await Promise.all(
    names.map(async (name, n) => {
      const value = row[n]!;
      const targets = catalog.targetsOf(table, name);
      const shownValue =
        value !== null && targets.length > 1
          ? await reference(shown, targets, value)
          : cell(shown, table, undefined, labels, name, value);
      return element('div', {}, element('dt', {}, name), element('dd', {}, ...shownValue));
    }),
  );
  const incoming = catalog.references
    .filter(({ target, table: from }) => target === table && catalog.has(from))
    .map(({ table: from, column }) =>
      element(
        'li',
        {},
        element(
          'a',
          { href: link({ table: from, f: [filterText({ column, operator: '=', value: id })] }) },
          `${from} by ${column}`,
        ),
      ),
    );
  const history = `${table}_history`;
  const versions = catalog.has(history)
    ? [
        element(
          'p',
          {},
          element(
            'a',
            {
              href: link({
                table: history,
                f: [filterText({ column: key, operator: '=', value: String(at(key)) })],
                sort: 'valid_from',
                desc: '1',
              }),
            },
            'Earlier versions of the row',
          ),
        ),
      ]
    : [];
  return [
    back,
    heading,
    ...versions,
    element('dl', { class: 'row' }, ...pairs),
    ...(incoming.length > 0
      ? [element('h3', {}, 'Rows that may refer to it'), element('ul', {}, ...incoming)]
      : []),
  ];
}

/** A link to the one of several tables that has the row. */
async function reference(
  { reader, catalog, link, signal }: Shown,
  targets: readonly string[],
  value: Cell,
): Promise<(Node | string)[]> {
  for (const table of targets) {
    const key = await catalog.naming(table);
    if (key === undefined) continue;
    const sql = `SELECT 1 FROM ${quoted.name(table)} WHERE ${quoted.name(key)} = ${catalog.dialect.parameter(1)}`;
    if ((await reader.query(sql, [value], { maxRows: 1, signal })).rows.length > 0)
      return [element('a', { href: link({ table, row: String(value) }) }, String(value)), ` in ${table}`];
  }
  return [textOf(value)];
}

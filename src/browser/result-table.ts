import { element, once } from './element.ts';
import type { Cell, Format, Saved, Table } from './read/worker-messages.ts';
import type { Shown } from './shown.ts';

export interface Shape {
  caption: string;
  /** What is in the head of a column instead of its name. */
  head?: (column: string) => Node | string;
  cell?: (column: string, value: Cell, row: Cell[]) => (Node | string)[];
}

/** Rows as a table. On a narrow screen it scrolls within its own frame, which a keyboard reaches. */
export function resultTable({ columns, rows }: Table, { caption, head, cell }: Shape): HTMLElement {
  const isNumber = columns.map(
    (_, n) => rows.some((row) => row[n] !== null) && rows.every((row) => typeof row[n] !== 'string'),
  );
  const heads = columns.map((name, n) =>
    element('th', { scope: 'col', class: isNumber[n] ? 'number' : undefined }, head?.(name) ?? name),
  );
  const body = rows.map((row) =>
    element(
      'tr',
      {},
      ...columns.map((name, n) =>
        element(
          'td',
          { class: isNumber[n] ? 'number' : undefined },
          ...(cell?.(name, row[n]!, row) ?? [textOf(row[n]!)]),
        ),
      ),
    ),
  );
  const table = element(
    'table',
    { class: 'data' },
    element('caption', {}, caption),
    element('thead', {}, element('tr', {}, ...heads)),
    element('tbody', {}, ...body),
  );
  return element('div', { class: 'frame', tabindex: '0', role: 'region', 'aria-label': caption }, table);
}

/** NULL is told from an empty text. */
export function textOf(value: Cell): Node | string {
  if (value === null) return element('span', { class: 'quiet' }, 'NULL');
  return String(value);
}

/** Offers a file. */
function download(name: string, file: Blob): void {
  const address = URL.createObjectURL(file);
  const link = element('a', { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** Buttons that save a result. @param read reads all of it, not only what is shown */
export function saveButtons(
  name: string,
  read: (format: Format) => Promise<Saved>,
  { say, fail }: Pick<Shown, 'say' | 'fail'>,
): HTMLElement {
  const save = (format: Format) => {
    const button = element('button', { type: 'button' }, format.toUpperCase());
    const saveAs = async () => {
      say('Saving …');
      try {
        const { file, rows, isCut } = await read(format);
        download(`${name}.${format}`, file);
        say(`Saved ${isCut ? 'the first ' : ''}${rows.toLocaleString('en-US')} rows.`);
      } catch (error) {
        fail(error);
      }
    };
    button.addEventListener('click', () => void once(button, saveAs));
    return button;
  };
  return element('p', {}, 'Save as ', save('csv'), ' ', save('json'));
}

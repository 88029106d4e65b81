import { parseRows } from './page.ts';
import { readPages } from './read-pages.ts';
import type { CallOptions, Transport } from './transport.ts';

/** One value of a choice column (choice, state, status, yes-no) and its label in one language. */
export interface Choice {
  /** The table's logical name. */
  table: string;
  column: string;
  value: number;
  label: string;
  /** Windows language code: 1033 is English. */
  language: number;
}

/**
 * Reads the labels of all choice columns: one read of the string map instead of a call per column.
 * @param tables logical names to keep; all where undefined
 */
export async function readChoices(
  transport: Transport,
  options: CallOptions & { tables?: readonly string[] | undefined } = {},
): Promise<Choice[]> {
  const { tables, ...rest } = options;
  const wanted = tables === undefined ? undefined : new Set(tables);
  const select = ['objecttypecode', 'attributename', 'attributevalue', 'value', 'langid'];
  const choices: Choice[] = [];
  for await (const page of readPages(transport, { entitySet: 'stringmaps', select, release: true }, rest)) {
    for (const row of parseRows(page)) {
      const table = String(row['objecttypecode']);
      const value = row['attributevalue'];
      if (typeof value !== 'number' || (wanted !== undefined && !wanted.has(table))) continue;
      choices.push({
        table,
        column: String(row['attributename']),
        value,
        label: typeof row['value'] === 'string' ? row['value'] : '',
        language: Number(row['langid']),
      });
    }
  }
  return choices;
}

import { dataverseFault } from '../errors/errors.ts';
import { inFilter, splitValues } from '../read/in-filter.ts';
import { parseRows } from '../read/page.ts';
import { readPages } from '../read/read-pages.ts';
import type { CallOptions } from '../transport/call.ts';
import type { Transport } from '../transport/transport.ts';

/** One value of a choice column (choice, state, status, yes-no) with its label in one language. */
export interface Choice {
  /** The table's logical name. */
  table: string;
  column: string;
  value: number;
  label: string;
  /** Windows language code, such as 1033 for English. */
  language: number;
}

const select = ['objecttypecode', 'attributename', 'attributevalue', 'value', 'langid'];

/**
 * Reads the labels of all choice columns in every language from the string map, instead of one request per
 * column (learn.microsoft.com: StringMap table/entity reference).
 * @param options `tables`: logical names of the tables to read; all tables if undefined
 */
export async function readChoices(
  transport: Transport,
  options: CallOptions & { tables?: readonly string[] | undefined } = {},
): Promise<Choice[]> {
  if (options.tables === undefined) return readStringMap(transport, undefined, options);
  const wanted = new Set(options.tables);
  let choices: Choice[] = [];
  try {
    for (const names of splitValues([...wanted], transport.origin.length + 400)) {
      choices = choices.concat(await readStringMap(transport, inFilter('objecttypecode', names), options));
    }
  } catch (error) {
    // A service that cannot filter the string map returns all of it.
    if (dataverseFault(error)?.status !== 400) throw error;
    choices = await readStringMap(transport, undefined, options);
  }
  return choices.filter(({ table }) => wanted.has(table));
}

async function readStringMap(
  transport: Transport,
  filter: string | undefined,
  options: CallOptions,
): Promise<Choice[]> {
  const choices: Choice[] = [];
  const query = { entitySet: 'stringmaps', select, filter, release: true };
  for await (const page of readPages(transport, query, options)) {
    for (const row of parseRows(page)) {
      const { objecttypecode: table, attributename: column, attributevalue: value, value: label } = row;
      const language = Number(row['langid']);
      if (typeof value !== 'number' || !Number.isInteger(language)) continue;
      // Without a text, the definition of the column may have one.
      if (typeof label !== 'string' || label === '') continue;
      choices.push({ table: String(table), column: String(column), value, label, language });
    }
  }
  return choices;
}

/**
 * Reads the organisation's base language, such as 1033, in which every label exists (learn.microsoft.com:
 * Organization table/entity reference, LanguageCode). Undefined if the service does not return it.
 */
export async function readBaseLanguage(
  transport: Transport,
  options: CallOptions = {},
): Promise<number | undefined> {
  const query = { entitySet: 'organizations', select: ['languagecode'] };
  for await (const page of readPages(transport, query, options)) {
    for (const row of parseRows(page)) {
      if (typeof row['languagecode'] === 'number') return row['languagecode'];
    }
  }
  return undefined;
}

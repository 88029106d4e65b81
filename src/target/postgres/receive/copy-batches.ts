import { SkipTableError } from '../../../errors.ts';
import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { MirrorValue } from '../../mirror-contents.ts';
import type { Session } from '../connection/session.ts';
import { convert, copyField } from '../rows/convert.ts';
import type { Repairs } from '../rows/repairs.ts';
import type { PostgresType } from '../schema/column-types.ts';

/** What goes to the server at once, at least. */
const chunkCharacters = 65_536;

export interface CopiedColumn {
  name: string;
  type: PostgresType;
  /** A value that cannot be stored would be a row without its key. */
  isKey?: boolean;
}

/**
 * Copies rows into a table.
 * @param table quoted
 * @returns how many rows
 * @throws SkipTableError if a key cannot be stored
 */
export async function copyBatches(
  session: Session,
  table: string,
  columns: readonly CopiedColumn[],
  batches: AsyncIterable<readonly (readonly MirrorValue[])[]>,
  repairs: Repairs,
): Promise<number> {
  let rows = 0;
  const chunks = async function* (): AsyncGenerator<Buffer> {
    let text = '';
    for await (const batch of batches) {
      rows += batch.length;
      for (const row of batch) {
        text += `${lineOf(row, columns, repairs)}\n`;
        if (text.length < chunkCharacters) continue;
        yield Buffer.from(text);
        text = '';
      }
    }
    if (text !== '') yield Buffer.from(text);
  };
  await session.copy(
    `COPY ${table} (${columns.map(({ name }) => quote(name)).join(', ')}) FROM STDIN`,
    chunks(),
  );
  return rows;
}

/** The columns, by their places, of which some value is none of their type. */
export async function placesThatDiffer(
  columns: readonly CopiedColumn[],
  batches: AsyncIterable<readonly (readonly MirrorValue[])[]>,
): Promise<number[]> {
  const typed = columns.flatMap(({ type }, place) => (type === 'text' ? [] : [{ type, place }]));
  const found = new Set<number>();
  for await (const batch of batches) {
    for (const row of batch) {
      for (const { type, place } of typed) {
        const value = row[place]!;
        if (value === null || found.has(place)) continue;
        const known = typeof value === 'bigint' ? String(value) : value;
        if (convert(known, type, () => undefined) === null) found.add(place);
      }
    }
  }
  return [...found];
}

function lineOf(row: readonly MirrorValue[], columns: readonly CopiedColumn[], repairs: Repairs): string {
  return columns
    .map(({ name, type, isKey = false }, index) => {
      const value = row[index]!;
      const known = typeof value === 'bigint' ? String(value) : value;
      const text = convert(known, type, (repair) => repairs.add(name, repair));
      if (isKey && text === null) {
        throw new SkipTableError(`A row has a key in ${name} that PostgreSQL cannot store as ${type}.`, {
          hint: 'Remove the row, or the table from entities.json, and move again.',
        });
      }
      return copyField(text);
    })
    .join('\t');
}

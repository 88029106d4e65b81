import type { Table } from '../metadata/model.ts';
import { Random } from './random.ts';
import type { Value } from './values.ts';

/** Lengthens text columns evenly until a row has the wanted size. Memo columns take what does not fit elsewhere. */
export function fillText(
  table: Table,
  rowBytes: number,
): ((values: Value[], random: Random) => void) | undefined {
  const names = table.columns.reduce((sum, column) => sum + column.name.length + 12, 60);
  const texts = table.columns
    .flatMap((column, position) => {
      const taken =
        column.type !== 'Edm.String' ||
        column.choice !== undefined ||
        column.name === 'activitytypecode' ||
        column.name === table.primaryName ||
        table.alternateKeys.some((key) => key.columns.includes(column.name));
      return taken ? [] : [{ position, limit: column.maxLength ?? Number.POSITIVE_INFINITY }];
    })
    .sort((a, b) => a.limit - b.limit);
  let left = rowBytes - names;
  const lengths = texts.map(({ position, limit }, index) => {
    const length = Math.max(0, Math.min(limit, Math.ceil(left / (texts.length - index))));
    left -= length;
    return { position, length };
  });
  if (texts.length === 0 || rowBytes <= names) return undefined;
  const prose = fillerProse(proseStarts + Math.max(...lengths.map(({ length }) => length)));
  return (values, random) => {
    for (const { position, length } of lengths) {
      const start = random.below(proseStarts);
      values[position] = prose.slice(start, start + length);
    }
  };
}

const proseStarts = 65_536;

/** Words that compress about as well as notes by people. Rows hold slices of this one string. */
function fillerProse(length: number): string {
  const random = new Random(5, 'prose');
  const words = Array.from({ length: 2000 }, () =>
    random
      .uint32()
      .toString(36)
      .slice(0, 2 + random.below(6)),
  );
  let prose = '';
  while (prose.length < length) prose += `${random.pick(words)} `;
  // Flattens the string. V8 would copy a concatenated string for each slice.
  return Buffer.from(prose).toString('latin1');
}

import { guidOrderKey } from '../rows/guid.ts';
import type { Row, Value } from '../rows/values.ts';
import { labelIn, languages, metadataId } from './labels.ts';
import { columnIndex, type Model, type Table } from './model.ts';

/** The string map: a table with the labels of all choice columns in all languages. */
export const stringMap = 'stringmap';

export function stringMapRows(model: Model, table: Table): Row[] {
  const rows: Row[] = [];
  for (const owner of model.tables.values()) {
    for (const column of owner.columns) {
      for (const [order, option] of (column.choice?.options ?? []).entries()) {
        for (const language of languages) {
          const id = metadataId(
            stringMap,
            owner.logicalName,
            column.name,
            String(option.value),
            String(language),
          );
          const values: Value[] = table.columns.map(() => null);
          const set = (name: string, value: Value): void => {
            const index = columnIndex(table, name);
            if (index >= 0) values[index] = value;
          };
          const version = BigInt(1000 + rows.length);
          set('stringmapid', id);
          set('objecttypecode', owner.logicalName);
          set('attributename', column.logicalName);
          set('attributevalue', option.value);
          set('value', labelIn(language, option.label));
          set('langid', language);
          set('displayorder', order + 1);
          set('versionnumber', version);
          rows.push({ id, order: guidOrderKey(id), version, values });
        }
      }
    }
  }
  return rows;
}

import type { Column } from '../../metadata/model.ts';
import { columns } from '../../metadata/model-builder.ts';
import { owned, type SampleTable } from './common-columns.ts';

/** Column names that are SQL or OData keywords: a careless query builder trips over them. */
const awkwardNames = ['action', 'offset', 'query', 'order', 'group', 'select', 'index', 'values', 'from'];

function wideColumns(): Column[] {
  const types = ['text', 'int', 'bool', 'decimal', 'double', 'datetime', 'date', 'int64', 'guid', 'memo'];
  const spec: Record<string, string> = {};
  for (const name of awkwardNames) spec[name] = 'text';
  for (let i = 1; i <= 310; i++) spec[`new_field${String(i).padStart(3, '0')}`] = types[i % types.length]!;
  return columns(spec);
}

/** More columns than most tables have, of every simple type. */
export const wideRecord: SampleTable = {
  spec: {
    name: 'new_widerecord',
    set: 'new_widerecords',
    displayName: 'Wide record',
    primaryName: 'new_name',
    columns: [...columns({ new_widerecordid: 'id', new_name: 'text' }), ...owned(), ...wideColumns()],
    weight: 0.02,
  },
  rows: (business) => (index, random) => {
    const created = business.timeline('new_widerecord')[index]!;
    return {
      ...business.stamps(created, random),
      new_name: `Supplier audit ${new Date(created).getUTCFullYear()}-${2001 + index}`,
      statecode: 0,
      statuscode: 1,
    };
  },
};

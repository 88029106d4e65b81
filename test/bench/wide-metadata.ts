/**
 * A `$metadata` document for the bench, with tables as wide as real ones: as in Dataverse, the JSON of a row is mostly
 * names, numbers, lookups and nulls, not long texts.
 */
const types: [type: string, share: number][] = [
  ['Edm.String', 34],
  ['Edm.Int32', 18],
  ['Edm.DateTimeOffset', 12],
  ['Edm.Boolean', 12],
  ['Edm.Decimal', 10],
  ['Edm.Guid', 10],
  ['Edm.Double', 2],
  ['Edm.Int64', 2],
];

export interface WideMetadata {
  document: string;
  /** Logical names. */
  tables: string[];
}

/** `count` tables of `columns` columns each. */
export function wideMetadata(count: number, columns: number): WideMetadata {
  const tables = Array.from(
    { length: count },
    (_, index) => `bench_table${String(index + 1).padStart(2, '0')}`,
  );
  const entityTypes = tables.map((name) => {
    const properties = [
      property(`${name}id`, 'Edm.Guid'),
      property('versionnumber', 'Edm.Int64'),
      property('modifiedon', 'Edm.DateTimeOffset'),
      property('createdon', 'Edm.DateTimeOffset'),
      ...spread(columns - 4).map((type, n) =>
        property(`bench_${type.slice(4).toLowerCase()}column${n + 1}`, type),
      ),
    ];
    return `<EntityType Name="${name}" BaseType="mscrm.crmbaseentity"><Key><PropertyRef Name="${name}id" /></Key>${properties.join('')}</EntityType>`;
  });
  const sets = tables.map(
    (name) => `<EntitySet Name="${name}s" EntityType="Microsoft.Dynamics.CRM.${name}" />`,
  );
  return {
    tables,
    document: `<?xml version="1.0" encoding="utf-8"?><edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices><Schema Namespace="Microsoft.Dynamics.CRM" Alias="mscrm" xmlns="http://docs.oasis-open.org/odata/ns/edm"><EntityType Name="crmbaseentity" Abstract="true" />${entityTypes.join('')}<EntityContainer Name="System">${sets.join('')}</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>`,
  };
}

function property(name: string, type: string): string {
  return `<Property Name="${name}" Type="${type}" />`;
}

/** `count` types in the proportion of their shares, mixed. */
function spread(count: number): string[] {
  return Array.from({ length: count }, (_, n) => {
    let place = (n * 37) % 100;
    for (const [type, share] of types) {
      if (place < share) return type;
      place -= share;
    }
    return 'Edm.String';
  });
}

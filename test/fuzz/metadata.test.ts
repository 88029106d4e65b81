import { afterAll, describe, expect } from 'vitest';
import { SyncError } from '../../src/errors.ts';
import { startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import { type Csdl, parseCsdl } from '../../src/schema/csdl.ts';
import { createTableSql } from '../../src/schema/sql.ts';
import { resolveTables } from '../../src/schema/tables-from-csdl.ts';
import { loadSqlite } from '../../src/sqlite/sqlite.ts';
import { SqliteDatabase } from '../../src/sqlite/sqlite-database.ts';
import { schemaDocument } from '../schema/documents.ts';
import { fuzz } from './fuzz.ts';
import { type Mutant, mutants, noise } from './mutations.ts';

/** `$metadata`, damaged. It makes tables that SQLite accepts, or a typed error. */

const requested = ['account', 'contact', 'accountleads'];
const documents = {
  'the metadata of the sample': await sampleMetadata(),
  'a small document': smallDocument(),
};
const tokens = `<
>
/>
"
'
&
&amp;
&#x0;
&#xD800;
&#1114112;
&unknown;
]]>
<![CDATA[x]]>
<!--
-->
<!DOCTYPE x [<!ENTITY a "b">]>
<?xml version="1.0"?>
<Schema>
</Schema>
<EntityType Name="account">
</EntityType>
<Key><PropertyRef Name="name"/></Key>
<Property Name="x" Type="Edm.Decimal"/>
<Property Name="__proto__" Type="mscrm.account"/>
Name="
Type="Collection(
Collection(
BaseType="mscrm.account"
BaseType="mscrm.contact"
Edm.Unknown
mscrm.
__proto__
constructor
xmlns:edmx="x"
edmx:
�
=`.split('\n');

async function sampleMetadata(): Promise<Buffer> {
  const sample = await startSampleDataverse({ rows: 0 });
  try {
    const headers = { authorization: 'Bearer test' };
    const text = await (await fetch(`${sample.url}/api/data/v9.2/$metadata`, { headers })).text();
    // What the requested tables need; all of it would make the parser the only thing that is tested.
    const wanted = (name: string): boolean => /^(?:account|contact|accountleads|crmbaseentity)$/.test(name);
    return Buffer.from(
      text
        .replaceAll(/<EntityType Name="(\w+)"[^>]*?(?:\/>|>[\s\S]*?<\/EntityType>)/g, (all, name) =>
          wanted(name) ? all : '',
        )
        .replaceAll(/<(Property|NavigationProperty) [^>]*?(?:\/>|>[\s\S]*?<\/\1>)/g, (all, _, at: number) =>
          at % 7 < 2 || /Name="(?:account|contact|lead|\w*name)(?:id)?"/.test(all) ? all : '',
        ),
    );
  } finally {
    await sample.stop();
  }
}

function smallDocument(): Buffer {
  return Buffer.from(
    schemaDocument(
      `<EntityType Name="crmbaseentity" Abstract="true" />
<EntityType Name="account" BaseType="mscrm.crmbaseentity"><Key><PropertyRef Name="accountid" /></Key>
<Property Name="accountid" Type="Edm.Guid" /><Property Name="name" Type="Edm.String" />
<Property Name="revenue" Type="Edm.Decimal" /><Property Name="_parent_value" Type="Edm.Guid" />
<NavigationProperty Name="parent" Type="mscrm.account"><ReferentialConstraint Property="_parent_value" ReferencedProperty="accountid" /></NavigationProperty>
</EntityType><EnumType Name="e" /><TypeDefinition Name="t" UnderlyingType="Edm.Decimal" />
<EntityContainer Name="System"><EntitySet Name="accounts" EntityType="mscrm.account" /></EntityContainer>
<Annotations Target="mscrm.System/accounts"><Annotation Term="Capabilities.ChangeTracking"><Record><PropertyValue Property="Supported" Bool="true" /></Record></Annotation></Annotations>`,
    ),
  );
}

const db = SqliteDatabase.open(await loadSqlite());
afterAll(() => db.close());

function check({ bytes }: Mutant): void {
  let csdl: Csdl;
  try {
    csdl = parseCsdl(bytes);
  } catch (error) {
    if (!(error instanceof SyncError)) throw error;
    // For a terminal: no document in it.
    expect(error.message.length).toBeLessThan(400);
    return;
  }
  const { tables, failures } = resolveTables(csdl, [], requested);
  expect([...tables, ...failures].map(({ logicalName }) => logicalName).sort()).toEqual(requested.toSorted());
  for (const table of tables) {
    db.exec('BEGIN');
    db.exec(createTableSql(table));
    const made = db.all<{ name: string }>(`SELECT name FROM pragma_table_info(?)`, [table.name]);
    expect(made.map(({ name }) => name)).toEqual(table.columns.map(({ name }) => name));
    db.exec('ROLLBACK');
  }
  expect(({} as { Name?: unknown }).Name).toBeUndefined();
}

describe('metadata', () => {
  fuzz(
    'that is damaged makes tables or a typed error',
    mutants(documents, tokens),
    { seed: 11, runs: 200 },
    check,
  );
  fuzz('of random bytes or tokens makes a typed error', noise(tokens), { seed: 12, runs: 150 }, check);
});

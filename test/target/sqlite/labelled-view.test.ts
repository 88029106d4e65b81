import { describe, expect, it } from 'vitest';
import { createTableSql } from '../../../src/schema/sql.ts';
import { choiceValuesViewSql, labelledViewSql } from '../../../src/target/sqlite/tables/labelled-view.ts';
import { column, open, plain, table } from '../../schema/tables.ts';

describe('labelledViewSql', () => {
  const contact = table('contact', [column('fullname', 'text')], { primaryName: 'fullname' });
  const team = table('team', [column('name', 'text')], { primaryName: 'name' });
  const account = table(
    'account',
    ['statecode', 'statecode_label']
      .map((name) => column(name, 'integer'))
      .concat(['tags', '_c_value', '_o_type', '_o_value', '_z_value'].map((name) => column(name, 'text'))),
    {
      foreignKeys: [
        { column: '_c_value', targets: ['contact'], source: 'metadata' },
        { column: '_o_value', targets: ['contact', 'team'], typeColumn: '_o_type', source: 'metadata' },
        { column: '_z_value', targets: ['absent'], source: 'metadata' },
      ],
    },
  );
  const synced = [contact, team, account];
  const options = {
    choices: [{ column: 'statecode' }, { column: 'tags', multiple: true }, { column: 'absent' }],
    synced,
  };
  const database = open(
    ...synced.map((one) => createTableSql(one, { synced })),
    'CREATE TABLE "_choices" (table_name TEXT, column_name TEXT, value INTEGER, label TEXT, language INTEGER)',
    `INSERT INTO "_choices" VALUES ('accounts', 'statecode', 0, 'Active', 1033), ('accounts', 'statecode', 0, 'Aktiv', 1031),
      ('accounts', 'statecode', 1, 'Inaktiv', 1031), ('accounts', 'tags', 1, 'Red', 1033), ('accounts', 'tags', 3, 'Blue', 1033)`,
    "INSERT INTO contacts VALUES ('c1', 'Ann')",
    "INSERT INTO teams VALUES ('t1', 'Team')",
    `INSERT INTO accounts VALUES ('1', 0, 9, '3,1', 'c1', 'team', 't1', 'z'), ('2', 1, NULL, NULL, NULL, 'contact', 'c1', NULL), ('3', 7, NULL, '2', 'none', NULL, NULL, NULL)`,
    ...labelledViewSql(account, options),
    ...choiceValuesViewSql(account, options),
  );

  it('shows labels beside codes and names beside lookups', () => {
    expect(plain(database.prepare('SELECT * FROM accounts_labelled ORDER BY 1').all())).toMatchObject([
      {
        statecode: 0,
        statecode_label_2: 'Active',
        statecode_label: 9,
        tags: '3,1',
        tags_label: 'Blue; Red',
        _c_name: 'Ann',
        _o_name: 'Team',
        _z_value: 'z',
      },
      { statecode: 1, statecode_label_2: 'Inaktiv', tags_label: null, _c_name: null, _o_name: 'Ann' },
      { statecode: 7, statecode_label_2: null, tags_label: null, _c_name: null, _o_name: null },
    ]);
    const columns = database
      .prepare('SELECT * FROM accounts_labelled')
      .columns()
      .map(({ name }) => name);
    expect(columns.slice(0, 4)).toEqual(['accountid', 'statecode', 'statecode_label_2', 'statecode_label']);
    expect(columns).not.toContain('_z_name');
  });

  it('has one row for each value of a multi-select column', () => {
    expect(
      plain(database.prepare('SELECT * FROM accounts_choice_values ORDER BY accountid, value').all()),
    ).toEqual([
      { accountid: '1', column_name: 'tags', value: 1, label: 'Red' },
      { accountid: '1', column_name: 'tags', value: 3, label: 'Blue' },
      { accountid: '3', column_name: 'tags', value: 2, label: null },
    ]);
    expect(choiceValuesViewSql(contact, options)).toEqual(['DROP VIEW IF EXISTS "contacts_choice_values"']);
  });

  it('prefers the requested language, and can be created again', () => {
    for (const statement of labelledViewSql(account, { ...options, language: 1031 }))
      database.exec(statement);
    expect(
      database
        .prepare("SELECT statecode_label_2 AS label, tags_label FROM accounts_labelled WHERE accountid = '1'")
        .get(),
    ).toMatchObject({ label: 'Aktiv', tags_label: 'Blue; Red' });
  });
});

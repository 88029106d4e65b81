import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { entitiesJsonSchema, parseEntities, readEntities } from '../../src/config/entities.ts';
import { ConfigurationError } from '../../src/errors.ts';
import { temporaryFolder } from '../temporary-folder.ts';

describe('entities.json', () => {
  it('accepts names and objects, in a list or next to a $schema', () => {
    const expected = [
      expect.objectContaining({ name: 'account', filtered: false, deletes: 'remove' }),
      expect.objectContaining({ name: 'contact', filtered: true }),
    ];
    const list = ['account', { name: 'contact', filtered: true }];
    expect(parseEntities(list)).toEqual(expected);
    expect(parseEntities({ $schema: './entities.schema.json', entities: list })).toEqual(expected);
  });

  it.each([
    [[], /list of entities is empty/],
    [{ entities: [] }, /list of entities is empty/],
    [['account', 'contact', 'account'], /entry 3 \(account\) is a duplicate: entry 1 already names account/],
    [[{ name: 'account', filterd: true }], /entry 1 \(account\) has an unknown key: filterd/],
    [['constructor'], /entry 1 \(constructor\): must be the logical name of a table/],
    [[{ name: '__proto__' }], /entry 1 \(__proto__\): name must be the logical name of a table/],
    [['Account'], /entry 1 \(Account\).*logical name/],
    [['account', 7], /entry 2: must be an object, not a number/],
    [[{ filtered: true }], /entry 1: name is missing/],
    [[{ name: 5 }], /entry 1: name must be text, not a number/],
    [[{ name: 'account', massDeleteLimit: '0.5' }], /massDeleteLimit must be a number, not text/],
    [[{ name: 'account', history: 'yes' }], /history must be true or false, not text/],
    [[{ name: 'account', columns: ['a'] }], /columns must be an object, not an array/],
    [[{ name: 'account', columns: { include: 'a' } }], /columns.include must be an array, not text/],
    [[{ name: 'account', columns: { include: ['a'], exclude: ['b'] } }], /entry 1 \(account\): columns/],
    [
      [{ name: 'account', database: 'Sales' }],
      /entry 1 \(account\): database must have .* lower-case letters/,
    ],
    [[{ name: 'account', database: 'sales.db' }], /database must have/],
    [[{ name: 'account', database: '../sales' }], /database must have/],
    [[{ name: 'account', database: '-sales' }], /database must have/],
    [[{ name: 'account', database: 'a'.repeat(65) }], /database must have/],
    [[{ name: 'account', database: 'constructor' }], /database must be another name/],
    [{ entitys: ['account'] }, /unknown key: entitys/],
    [{ entities: 'account' }, /"entities" must be a list/],
    ['account', /the content must be a list/],
    [null, /the content must be a list/],
  ])('rejects %j with a message that names the entry', (content, message) => {
    expect(() => parseEntities(content)).toThrow(ConfigurationError);
    expect(() => parseEntities(content)).toThrow(message);
  });

  it('rejects the name of the default database', () => {
    const file = join(temporaryFolder(), 'entities.json');
    writeFileSync(file, JSON.stringify([{ name: 'account', database: 'mirror' }]));
    expect(readEntities(file)).toMatchObject([{ name: 'account', database: 'mirror' }]);
    expect(() => readEntities(file, 'data/Mirror.db')).toThrow(
      /database of account is called like the default/,
    );
  });

  it.each(['state', 'last-check-sales', 'checked-figures-sales', 'schema-report', 'database-check'])(
    'rejects a database whose file would be another blob: %s',
    (database) => {
      const file = join(temporaryFolder(), 'entities.json');
      writeFileSync(file, JSON.stringify(['contact', { name: 'account', database }]));
      expect(readEntities(file)).toMatchObject([{ name: 'contact' }, { name: 'account', database }]);
      expect(() => readEntities(file, 'mirror.json')).toThrow(
        `the database of account would be ${database}.json, another blob of the sync`,
      );
      // In a folder, there are no other blobs.
      expect(readEntities(file, 'mirror/mirror.json')).toHaveLength(2);
    },
  );

  it('names a file that is missing or not JSON', () => {
    expect(() => readEntities('/nowhere/entities.json')).toThrow(/\/nowhere\/entities\.json not found/);
    expect(() => readEntities(import.meta.filename)).toThrow(/not valid JSON/);
  });

  it('keeps entities.schema.json equal to the schema that validates', () => {
    const stored = JSON.parse(
      readFileSync(new URL('../../src/config/entities.schema.json', import.meta.url), 'utf8'),
    );
    expect(stored).toEqual(JSON.parse(JSON.stringify(entitiesJsonSchema())));
  });
});

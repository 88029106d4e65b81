import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { entitiesJsonSchema, parseEntities, readEntities } from '../../src/config/entities.ts';
import { ConfigurationError } from '../../src/errors.ts';

describe('entities.json', () => {
  it('takes names and objects, in a list or beside a $schema', () => {
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
    [['account', 'contact', 'account'], /entry 3 \(account\) is a duplicate: account is entry 1/],
    [[{ name: 'account', filterd: true }], /entry 1 \(account\) has an unknown key: filterd/],
    [['Account'], /entry 1 \(Account\).*logical name/],
    [['account', 7], /entry 2/],
    [[{ filtered: true }], /entry 1: name/],
    [[{ name: 'account', columns: { include: ['a'], exclude: ['b'] } }], /entry 1 \(account\): columns/],
    [{ entitys: ['account'] }, /unknown key: entitys/],
    ['account', /holds no list/],
    [null, /holds no list/],
  ])('refuses %j with a message that names the entry', (content, message) => {
    expect(() => parseEntities(content)).toThrow(ConfigurationError);
    expect(() => parseEntities(content)).toThrow(message);
  });

  it('names a file that is absent or no JSON', () => {
    expect(() => readEntities('/nowhere/entities.json')).toThrow(/There is no \/nowhere\/entities\.json/);
    expect(() => readEntities(import.meta.filename)).toThrow(/not valid JSON/);
  });

  it('has a JSON Schema for editors that is the one the check is made from', () => {
    const stored = JSON.parse(
      readFileSync(new URL('../../src/config/entities.schema.json', import.meta.url), 'utf8'),
    );
    expect(stored).toEqual(JSON.parse(JSON.stringify(entitiesJsonSchema())));
  });
});

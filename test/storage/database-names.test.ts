import { expect, test } from 'vitest';
import { databaseFileOf, databaseNameOf } from '../../src/storage/database/database-names.ts';

test.each([
  ['dataverse.db', 'dataverse', 'sales.db'],
  ['mirrors/my mirror.db', 'my mirror', 'mirrors/sales.db'],
  ['a.b/mirror', 'mirror', 'a.b/sales'],
])('%s is %s, and sales is %s', (file, name, sales) => {
  expect(databaseNameOf(file)).toBe(name);
  expect(databaseFileOf(file, 'sales')).toBe(sales);
  expect(databaseFileOf(file, undefined)).toBe(file);
  expect(databaseFileOf(file, name)).toBe(file);
});

import { expect, test } from 'vitest';
import {
  column,
  dateOnly,
  exactNumber,
  type Filter,
  filters as f,
  guid,
  literalText,
  raw,
  UsageError,
} from '../../src/library/dataverse.ts';

const id = '00000000-0000-4000-8000-00000000ABCD';
const lower = id.toLowerCase();

test.each<[Filter, string]>([
  [f.eq('name', "O'Brien"), "name eq 'O''Brien'"],
  [f.ne('name', null), 'name ne null'],
  [f.gt('revenue', 1.5), 'revenue gt 1.5'],
  [f.ge('revenue', exactNumber('12.3400')), 'revenue ge 12.3400'],
  [f.lt('versionnumber', 9007199254740993n), 'versionnumber lt 9007199254740993'],
  [f.eq('creditonhold', true), 'creditonhold eq true'],
  [f.le('createdon', new Date('2024-05-01T12:00:00Z')), 'createdon le 2024-05-01T12:00:00Z'],
  [f.le('createdon', new Date(1)), 'createdon le 1970-01-01T00:00:00.001Z'],
  [f.eq('birthdate', dateOnly('2024-05-01')), 'birthdate eq 2024-05-01'],
  // Only a column whose texts are GUIDs gets one without quotes.
  [f.eq('_parentcustomerid_value', id), `_parentcustomerid_value eq ${lower}`],
  [
    f.eq('parentcustomerid_account/_ownerid_value', id),
    `parentcustomerid_account/_ownerid_value eq ${lower}`,
  ],
  [f.eq('externalid', id), `externalid eq '${id}'`],
  [f.eq('address1_addressid', guid(id)), `address1_addressid eq ${lower}`],
  [f.gt('actualend', column('scheduledend')), 'actualend gt scheduledend'],
  [f.eq('x', raw("Microsoft.Dynamics.CRM.T'y'")), "x eq Microsoft.Dynamics.CRM.T'y'"],
  [
    f.in('name', ['A', "O'Brian", 'a"b\\']),
    `Microsoft.Dynamics.CRM.In(PropertyName='name',PropertyValues=["A","O\\u0027Brian","a\\"b\\\\"])`,
  ],
  [f.notIn('code', [1, 2n]), `Microsoft.Dynamics.CRM.NotIn(PropertyName='code',PropertyValues=["1","2"])`],
  [f.in('name', []), 'name eq null and name ne null'],
  [f.notIn('name', []), 'name ne null'],
  [f.between('n', 5, 2000), `Microsoft.Dynamics.CRM.Between(PropertyName='n',PropertyValues=["5","2000"])`],
  [
    f.between('d', dateOnly('2024-01-01'), new Date(0)),
    `Microsoft.Dynamics.CRM.Between(PropertyName='d',PropertyValues=["2024-01-01","1970-01-01T00:00:00Z"])`,
  ],
  [f.contains('name', literalText("50%_[x]'")), "contains(name,'50[%][_][[]x]''')"],
  [f.startsWith('name', 'a'), "startswith(name,'a')"],
  [f.endsWith('name', 'a'), "endswith(name,'a')"],
  [
    f.containsValues('colors', [1, 2]),
    `Microsoft.Dynamics.CRM.ContainValues(PropertyName='colors',PropertyValues=["1","2"])`,
  ],
  [
    f.fn('LastXDays', 'createdon', 7),
    `Microsoft.Dynamics.CRM.LastXDays(PropertyName='createdon',PropertyValue=7)`,
  ],
  // Brackets and apostrophes in a text must not end the list.
  [
    f.in('name', [']', '[{', '}']),
    `Microsoft.Dynamics.CRM.In(PropertyName='name',PropertyValues=["\\u005d","\\u005b\\u007b","\\u007d"])`,
  ],
  [f.any('x', (o) => o.gt('actualend', column('scheduledend'))), 'x/any(o:o/actualend gt o/scheduledend)'],
  [
    f.fn('On', 'createdon', new Date('2024-05-01T12:00:00Z')),
    `Microsoft.Dynamics.CRM.On(PropertyName='createdon',PropertyValue='2024-05-01T12:00:00Z')`,
  ],
  [
    f.fn('OnOrAfter', 'createdon', dateOnly('2024-05-01')),
    `Microsoft.Dynamics.CRM.OnOrAfter(PropertyName='createdon',PropertyValue='2024-05-01')`,
  ],
  [
    f.fn('EqualUserId', '_ownerid_value'),
    `Microsoft.Dynamics.CRM.EqualUserId(PropertyName='_ownerid_value')`,
  ],
  [
    f.and(f.eq('a', 1), f.or(f.eq('b', 2), f.eq('c', 3)), f.eq('d', 4)),
    'a eq 1 and (b eq 2 or c eq 3) and d eq 4',
  ],
  [f.or(f.and(f.eq('a', 1), f.eq('b', 2)), f.eq('c', 3)), '(a eq 1 and b eq 2) or c eq 3'],
  [f.not(f.or(f.eq('a', 1), f.eq('b', 2))), 'not (a eq 1 or b eq 2)'],
  [f.and(f.raw('a eq 1 or b eq 2'), f.eq('c', 3)), '(a eq 1 or b eq 2) and c eq 3'],
  [f.and(f.eq('a', 1)), 'a eq 1'],
  [f.any('contacts'), 'contacts/any()'],
  [f.any('contacts', (o) => o.eq('lastname', 'x')), "contacts/any(o:o/lastname eq 'x')"],
  [
    f.all('a', (o) => o.any('b', (p) => p.eq('_c_value', id))),
    `a/all(o:o/b/any(oo:oo/_c_value eq ${lower}))`,
  ],
])('writes %s', (filter, text) => {
  expect(filter.toString()).toBe(text);
});

test('quotes the primary key of a table only where it knows the table', () => {
  expect(f.eq('accountid', id).toString({ primaryId: 'accountid' })).toBe(`accountid eq ${lower}`);
  expect(f.eq('accountid', id).toString()).toBe(`accountid eq '${id}'`);
});

test('refuses what is not a name, a GUID, a date or a number', () => {
  for (const name of ["name eq 'x' or name", 'a b', '', 'a//b', "a'", 'ä']) {
    expect(() => f.eq(name, 1).toString(), name).toThrow(UsageError);
  }
  expect(() => guid('x')).toThrow(UsageError);
  expect(() => dateOnly('1.5.2024')).toThrow(UsageError);
  expect(() => f.eq('a', Number.NaN).toString()).toThrow(UsageError);
  expect(() => f.eq('a', new Date('x')).toString()).toThrow(UsageError);
  expect(() => f.fn("In'", 'a').toString()).toThrow(UsageError);
  expect(() => f.and()).toThrow(UsageError);
});

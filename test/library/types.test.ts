import { expectTypeOf, test } from 'vitest';
import {
  type BatchOutcome,
  type BulkResult,
  changeSet,
  createCredential,
  createDataverse,
  defineTable,
  exactNumber,
  type Operation,
  type Row,
  reference,
  type Table,
} from '../../src/library/dataverse.ts';

/** What generated types look like: columns, choices as unions, and a stricter type for writes. */
interface Account {
  accountid: string;
  name: string | null;
  revenue: number | null;
  statecode: 0 | 1;
  _primarycontactid_value: string | null;
}
interface AccountValues {
  name?: string | null;
  primarycontactid?: ReturnType<typeof reference>;
}

const names = { logicalName: 'account', entitySet: 'accounts', primaryId: 'accountid' };
const dataverse = createDataverse({
  url: 'https://contoso.crm.dynamics.com',
  credential: createCredential({ accessToken: 'a-token-that-is-not-sent' }),
});
const accounts = dataverse.table(defineTable<Account>(names));
const strict = dataverse.table(defineTable<Account, AccountValues>(names));

// The compiler checks this file; nothing of it is sent.
test('rows have the columns that are selected', () => {
  const read = async () => {
    const row = await accounts.retrieve('x', { select: ['name', 'statecode'] });
    expectTypeOf(row!.statecode).toEqualTypeOf<0 | 1>();
    expectTypeOf(row!).not.toHaveProperty('revenue');
    const [found] = await accounts.query().select('revenue').orderBy('name').toArray();
    expectTypeOf(found!.revenue).toEqualTypeOf<number | null>();
    const whole = await accounts.query().first();
    expectTypeOf(whole).toEqualTypeOf<Account | undefined>();
    const returned = await accounts.create({ name: 'x' }, { returning: ['name'] });
    expectTypeOf(returned.name).toEqualTypeOf<string | null>();
    for await (const change of accounts.changes({ select: ['name'] })) {
      if (change.kind === 'upserted') expectTypeOf(change.row.name).toEqualTypeOf<string | null>();
      else expectTypeOf(change.id).toEqualTypeOf<string>();
    }
  };
  expectTypeOf(read).returns.resolves.toBeVoid();
  expectTypeOf(dataverse.table('account')).toEqualTypeOf<Table<Row, Row>>();
  expectTypeOf(accounts.create({ name: 'x' })).resolves.toEqualTypeOf<string>();
  expectTypeOf(accounts.createMany([])).resolves.toEqualTypeOf<BulkResult<string>>();
});

test('names and values that do not fit do not compile', () => {
  const wrong = async () => {
    // @ts-expect-error: there is no such column
    accounts.query().select('nmae');
    // @ts-expect-error: there is no such column
    accounts.query().where((f) => f.eq('nmae', 1));
    // @ts-expect-error: there is no such column
    await accounts.retrieve('x', { select: ['nmae'] });
    // @ts-expect-error: the column has another type
    await accounts.update('x', { revenue: 'much' });
    // @ts-expect-error: the choice has no such value
    await accounts.update('x', { statecode: 2 });
    // @ts-expect-error: generated types know all names
    await strict.create({ nmae: 'x' });
    await accounts.update('x', {
      revenue: exactNumber('1.50'),
      primarycontactid: reference('contacts', 'x'),
    });
    await strict.create({ name: 'x', primarycontactid: reference('contacts', 'x') });
    accounts.query().where((f) => f.eq('primarycontactid/fullname', 'x'));
  };
  expectTypeOf(wrong).toBeFunction();
});

test('a batch has the outcome of each operation', () => {
  const send = async () => {
    const operation = accounts.prepare.create({ name: 'x' });
    expectTypeOf(operation).toEqualTypeOf<Operation<string>>();
    const [[created], deleted] = await dataverse.batch([changeSet(operation), accounts.prepare.delete('x')]);
    expectTypeOf(created).toEqualTypeOf<BatchOutcome<string>>();
    expectTypeOf(deleted).toEqualTypeOf<BatchOutcome<boolean>>();
  };
  expectTypeOf(send).toBeFunction();
});

test('an expanded lookup is a row, an expanded collection a list', () => {
  const read = async () => {
    const [row] = await accounts
      .query()
      .expandOne('primarycontactid')
      .expandMany('contact_customer_accounts')
      .toArray();
    expectTypeOf(row!.primarycontactid).toEqualTypeOf<Record<string, unknown> | null>();
    expectTypeOf(row!.contact_customer_accounts).toEqualTypeOf<Record<string, unknown>[]>();
  };
  expectTypeOf(read).toBeFunction();
});

import { randomUUID } from 'node:crypto';
import {
  ConcurrencyError,
  changeSet,
  DataverseError,
  etagOf,
  exactNumber,
  reference,
} from 'dataverse-sqlite-sync/dataverse';
import { connect } from '../connect.ts';
import { Meter } from '../meter.ts';

const dataverse = connect();
const accounts = dataverse.table('account');
const contacts = dataverse.table('contact');

interface Order {
  /** Chosen by the program and stored before the first try, so that a try can be repeated. */
  accountId: string;
  contactId: string;
  name: string;
  lastname: string;
  creditLimit: string;
}

/** Creates an account, its contact, and the lookups in both directions: all of it or nothing. */
async function openAccount(order: Order): Promise<void> {
  const { accountId, contactId, name, lastname, creditLimit } = order;
  const account = accounts.prepare.create({
    accountid: accountId,
    name,
    creditlimit: exactNumber(creditLimit),
  });
  const contact = contacts.prepare.create({
    contactid: contactId,
    lastname,
    parentcustomerid_account: account,
  });
  const link = accounts.prepare.update(accountId, { primarycontactid: reference('contacts', contactId) });
  for (let attempt = 1; ; attempt++) {
    try {
      const [outcomes] = await dataverse.batch([changeSet(account, contact, link)]);
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
      return;
    } catch (error) {
      // The response was lost. The row says whether the transaction was committed.
      if (!(error instanceof DataverseError) || !error.maybeExecuted || attempt === 3) throw error;
      console.log('The response was lost. Looking whether the rows are there.');
      if ((await accounts.retrieve(accountId, { select: ['name'] })) !== undefined) return;
    }
  }
}

/** Adds to the credit limit. A change by somebody else in between is not overwritten: read again, then repeat. */
async function raiseCredit(accountId: string, amount: number): Promise<void> {
  for (;;) {
    const row = await accounts.retrieve(accountId, { select: ['creditlimit'] });
    if (row === undefined) throw new Error(`There is no account ${accountId}.`);
    const creditlimit = exactNumber((Number(row['creditlimit']) + amount).toFixed(2));
    try {
      await accounts.update(accountId, { creditlimit }, { etag: etagOf(row) });
      return;
    } catch (error) {
      if (!(error instanceof ConcurrencyError)) throw error;
    }
  }
}

const meter = new Meter();
const order: Order = {
  accountId: process.env['ACCOUNT_ID'] ?? randomUUID(),
  contactId: randomUUID(),
  name: 'Fabrikam',
  lastname: 'Lovelace',
  creditLimit: '1000.50',
};
await openAccount(order);
console.log('opened', order.accountId);

// Two programs at the same time: none of the amounts is lost.
await Promise.all([raiseCredit(order.accountId, 100), raiseCredit(order.accountId, 200)]);
const row = await accounts.retrieve(order.accountId, {
  select: ['name', 'creditlimit'],
  expand: { primarycontactid: (related) => related.select('lastname') },
});
console.log('credit', row?.['creditlimit'], row?.['primarycontactid']);

// A mistake in the last operation undoes the first one.
const lost = randomUUID();
const [rolledBack] = await dataverse.batch([
  changeSet(
    accounts.prepare.create({ accountid: lost, name: 'Never there' }),
    contacts.prepare.create({ lastname: 'X', parentcustomerid_account: reference('accounts', randomUUID()) }),
  ),
]);
console.log(
  'rolled back',
  rolledBack.every(({ status }) => status !== 'fulfilled'),
);
console.log('exists', (await accounts.retrieve(lost)) !== undefined);

const before = meter.take();
const rounds = 20;
for (let n = 0; n < rounds; n++) {
  await openAccount({ ...order, accountId: randomUUID(), contactId: randomUUID(), name: `Account ${n}` });
}
const { requests, seconds } = meter.take();
console.log(`${rounds} transactions: ${requests} requests, ${(rounds / seconds).toFixed(0)} a second`);
console.log(`everything before: ${before.requests} requests`);

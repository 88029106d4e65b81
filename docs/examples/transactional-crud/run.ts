import { randomUUID } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  ConcurrencyError,
  changeSet,
  DataverseError,
  DuplicateError,
  etagOf,
  exactNumber,
  type Operation,
  reference,
} from 'dataverse-sqlite-sync/dataverse';
import { connect } from '../connect.ts';
import { Meter } from '../meter.ts';

const orderFile = join(process.env['EXAMPLE_FOLDER'] ?? '.', 'order.json');
const dataverse = connect();
const accounts = dataverse.table('account');
const contacts = dataverse.table('contact');
const tasks = dataverse.table('task');

/** An amount to add to a credit limit. */
interface Raise {
  /** Of the task that records it. */
  taskId: string;
  amount: number;
}

/** All ids are chosen by the program and stored before the first try, so that every try can be repeated. */
interface Order {
  accountId: string;
  contactId: string;
  name: string;
  lastname: string;
  creditLimit: string;
  raises: Raise[];
}

const newOrder = (name: string, amounts: number[] = []): Order => ({
  ...{ accountId: randomUUID(), contactId: randomUUID(), name, lastname: 'Lovelace', creditLimit: '1000.50' },
  raises: amounts.map((amount) => ({ taskId: randomUUID(), amount })),
});

/** The stored order, or a new one. The file is replaced as a whole, so that a crash leaves no half of it. */
async function readOrder(): Promise<Order> {
  try {
    return JSON.parse(await readFile(orderFile, 'utf8')) as Order;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const order = newOrder('Fabrikam', [100, 200]);
  await writeFile(`${orderFile}.new`, JSON.stringify(order));
  await rename(`${orderFile}.new`, orderFile);
  return order;
}

/** Runs operations in one database transaction: all of it or nothing. @throws the error of the operation that failed */
async function transact(...operations: Operation<unknown>[]): Promise<void> {
  const [outcomes] = await dataverse.batch([changeSet(...operations)]);
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}

/**
 * Runs a transaction once, whatever becomes of processes and responses. One of its rows tells whether it was committed. It is
 * looked for before the first try, because an earlier process may have died after the commit, and whenever a try leaves that
 * open: the response was lost, or the row exists already.
 */
async function once(isDone: () => Promise<boolean>, run: () => Promise<void>): Promise<void> {
  if (await isDone()) return;
  for (let attempt = 1; ; attempt++) {
    try {
      return await run();
    } catch (error) {
      const isLost = error instanceof DataverseError && error.maybeExecuted;
      if (!isLost && !(error instanceof DuplicateError)) throw error;
      console.log(isLost ? 'The response was lost.' : 'The row exists.', 'Looking whether it is this one.');
      if (await isDone()) return;
      if (!isLost || attempt === 3) throw error;
    }
  }
}

/** Creates an account, its contact, and the lookups in both directions. */
function openAccount({ accountId, contactId, name, lastname, creditLimit }: Order): Promise<void> {
  // The contact is created with the account, under an id that no other order has.
  const isDone = async () => (await contacts.retrieve(contactId, { select: ['lastname'] })) !== undefined;
  return once(isDone, () => {
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
    return transact(account, contact, link);
  });
}

/**
 * Adds to the credit limit. A change by somebody else in between is not overwritten: read again, then repeat. The new limit
 * alone does not tell whether it was added, because others add to it as well; a task of the same transaction does.
 */
function raiseCredit(accountId: string, { taskId, amount }: Raise): Promise<void> {
  const isDone = async () => (await tasks.retrieve(taskId, { select: ['subject'] })) !== undefined;
  return once(isDone, async () => {
    for (let attempt = 1; ; attempt++) {
      const row = await accounts.retrieve(accountId, { select: ['creditlimit'] });
      if (row === undefined) throw new Error(`There is no account ${accountId}.`);
      const creditlimit = exactNumber((Number(row['creditlimit']) + amount).toFixed(2));
      const task = tasks.prepare.create({
        activityid: taskId,
        subject: `Credit raised by ${amount}`,
        regardingobjectid_account: reference('accounts', accountId),
      });
      try {
        return await transact(
          task,
          accounts.prepare.update(accountId, { creditlimit }, { etag: etagOf(row) }),
        );
      } catch (error) {
        if (!(error instanceof ConcurrencyError) || attempt === 20) throw error;
      }
    }
  });
}

const meter = new Meter();
const order = await readOrder();
await openAccount(order);
console.log('opened', order.accountId);

// Two programs at the same time: none of the amounts is lost.
await Promise.all(order.raises.map((raise) => raiseCredit(order.accountId, raise)));
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
for (let n = 0; n < rounds; n++) await openAccount(newOrder(`Account ${n}`));
const { requests, seconds } = meter.take();
console.log(`${rounds} transactions: ${requests} requests, ${(rounds / seconds).toFixed(0)} a second`);
console.log(`everything before: ${before.requests} requests`);

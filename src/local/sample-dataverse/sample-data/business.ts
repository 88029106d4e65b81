import { lastChange, someMoment } from '../rows/moments.ts';
import { Random } from '../rows/random.ts';
import type { GeneratedValues, RowPlan } from '../rows/row-plan.ts';
import type { Lookup } from '../rows/values.ts';
import { type Company, someCompany } from './words/companies.ts';
import { currencies } from './words/currencies.ts';
import { type Person, somePerson } from './words/people.ts';

export interface Account {
  company: Company;
  employees: number;
  /** Per year, in euros. */
  revenue: number;
  created: number;
}

export interface Contact {
  person: Person;
  email: string;
  company: Company;
  /** Index of the account. */
  account: number | undefined;
  created: number;
}

export interface Lead {
  person: Person;
  company: Company;
  /** The account or contact that the lead belongs to. */
  customer: Lookup | null;
  created: number;
}

export interface User {
  person: Person;
  email: string;
  /** Index of the business unit. */
  unit: number;
}

/** The person and company that an activity or a lead is about. */
export interface Subject {
  person: Person;
  company: Company;
  lookup: Lookup | null;
}

/**
 * Facts that several tables share, so that their rows agree. The rows of a table are in the order of their
 * creation: numbers grow with time, and a row is younger than the rows it points to.
 */
export class Business {
  readonly plan: RowPlan;
  readonly now: number;

  constructor(plan: RowPlan) {
    this.plan = plan;
    this.now = plan.options.now.getTime();
  }

  get accounts(): Account[] {
    this.#accounts ??= this.#list('account', (random, created, taken) => {
      const company = someCompany(random, taken);
      const employees = Math.max(2, Math.round(Math.exp(3.8 + 1.4 * random.normal())));
      const perHead = company.industry.revenue * 1000 * Math.exp(0.35 * random.normal());
      return { company, employees, revenue: employees * perHead, created };
    });
    return this.#accounts;
  }
  #accounts: Account[] | undefined;

  get contacts(): Contact[] {
    this.#contacts ??= this.#list('contact', (random, created, taken) => {
      // One contact in twelve belongs to no account.
      const account = random.chance(0.08) ? undefined : this.accountAt(created, random);
      const company = account === undefined ? someCompany(random) : this.accounts[account]!.company;
      const person = somePerson(company.place.country.language, random);
      return { person, email: mailAddress(person, company.domain, taken), company, account, created };
    });
    return this.#contacts;
  }
  #contacts: Contact[] | undefined;

  /** The index of an account's primary contact, by the index of the account. */
  get primaryContacts(): Map<number, number> {
    if (this.#primaryContacts === undefined) {
      this.#primaryContacts = new Map();
      for (const [index, { account }] of this.contacts.entries()) {
        if (account !== undefined && !this.#primaryContacts.has(account))
          this.#primaryContacts.set(account, index);
      }
    }
    return this.#primaryContacts;
  }
  #primaryContacts: Map<number, number> | undefined;

  get leads(): Lead[] {
    this.#leads ??= this.#list('lead', (random, created) => {
      const { lookup, ...known } = this.customerAt(created, random, 0.4);
      return { ...known, customer: lookup, created };
    });
    return this.#leads;
  }
  #leads: Lead[] | undefined;

  get users(): User[] {
    this.#users ??= this.#list('systemuser', (random, _, taken) => {
      const person = somePerson(random.pick(['da', 'de', 'en', 'sv', 'fr', 'nl'] as const), random);
      const unit = random.below(Math.max(1, this.plan.count('businessunit')));
      return { person, email: mailAddress(person, 'contoso.example', taken), unit };
    });
    return this.#users;
  }
  #users: User[] | undefined;

  /** When the rows of a table were created, in ascending order. */
  timeline(table: string): Float64Array {
    let times = this.#timelines.get(table);
    if (times === undefined) {
      const random = new Random(this.plan.options.seed, `${table}/timeline`);
      times = Float64Array.from({ length: this.plan.count(table) }, () => someMoment(this.now, random));
      times.sort();
      this.#timelines.set(table, times);
    }
    return times;
  }
  readonly #timelines = new Map<string, Float64Array>();

  /** The index of an account that existed at a moment, with a preference for old ones. */
  accountAt(moment: number, random: Random): number | undefined {
    const count = countUntil(this.timeline('account'), moment);
    return count === 0 ? undefined : Math.floor(count * random.fraction() ** 1.2);
  }

  /** The index of a contact that existed at a moment, with a preference for new ones. */
  contactAt(moment: number, random: Random): number | undefined {
    return latest(this.timeline('contact'), moment, random);
  }

  /** A contact or account that existed at a moment, with the probability `known`, or someone new. */
  customerAt(moment: number, random: Random, known: number): Subject {
    if (random.chance(known)) {
      const contact = random.chance(0.45) ? this.contactAt(moment, random) : undefined;
      if (contact !== undefined) {
        const { person, company } = this.contacts[contact]!;
        return { person, company, lookup: this.lookup('contact', contact) };
      }
      const account = latest(this.timeline('account'), moment, random);
      if (account !== undefined) {
        const { company } = this.accounts[account]!;
        const person = somePerson(company.place.country.language, random);
        return { person, company, lookup: this.lookup('account', account) };
      }
    }
    const company = someCompany(random);
    return { person: somePerson(company.place.country.language, random), company, lookup: null };
  }

  /** A lead that existed at a moment, with a preference for new ones. */
  leadAt(moment: number, random: Random): Subject | undefined {
    const index = latest(this.timeline('lead'), moment, random);
    return index === undefined ? undefined : { ...this.leads[index]!, lookup: this.lookup('lead', index) };
  }

  lookup(table: string, index: number | undefined): Lookup | null {
    return this.plan.lookup(table, index);
  }

  /** Any row of a table, or null if it has none. */
  anyOf(table: string, random: Random): Lookup | null {
    return this.lookup(table, random.below(this.plan.count(table)));
  }

  /** The index of the currency of a company's country, or of the base currency if the other has no row. */
  currencyIndex(company: Company): number {
    const index = currencies.findIndex(({ code }) => code === company.place.country.currency);
    return index < this.plan.count('transactioncurrency') ? index : 0;
  }

  /** Times, authors and owner of a row. */
  stamps(created: number, random: Random): GeneratedValues {
    const user = this.#someUser(random);
    const team = random.chance(0.2) ? this.anyOf('team', random) : null;
    return {
      createdon: created,
      modifiedon: lastChange(created, this.now, random),
      _createdby_value: this.lookup('systemuser', random.chance(0.75) ? user : 0),
      _modifiedby_value: this.lookup('systemuser', random.chance(0.6) ? user : this.#someUser(random)),
      _ownerid_value: team ?? this.lookup('systemuser', user),
      _owningbusinessunit_value: this.lookup('businessunit', this.users[user]?.unit),
    };
  }

  /** The same for a row that the application wrote. */
  applicationStamps(created: number): GeneratedValues {
    const application = this.lookup('systemuser', 0);
    return {
      createdon: created,
      modifiedon: created,
      _createdby_value: application,
      _modifiedby_value: application,
      _ownerid_value: application,
      _owningbusinessunit_value: this.lookup('businessunit', this.users[0]?.unit),
    };
  }

  /** The index of a user. Not the application, which is the first user; the next ones do most of the work. */
  #someUser(random: Random): number {
    const people = this.plan.count('systemuser') - 1;
    return people < 1 ? 0 : 1 + Math.floor(people * random.fraction() ** 1.7);
  }

  #list<T>(table: string, make: (random: Random, created: number, taken: Set<string>) => T): T[] {
    const random = new Random(this.plan.options.seed, `${table}/business`);
    const taken = new Set<string>();
    return Array.from(this.timeline(table), (created) => make(random, created, taken));
  }
}

/** How many of the ascending times are at or before a moment. */
function countUntil(times: Float64Array, moment: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle]! <= moment) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The index of one of the last times before a moment. */
function latest(times: Float64Array, moment: number, random: Random): number | undefined {
  const count = countUntil(times, moment);
  return count === 0 ? undefined : count - 1 - Math.floor(count * random.fraction() ** 3);
}

/** `anna.sorensen@…`; the second Anna Sørensen of a company is `anna.sorensen2@…`. */
function mailAddress({ mailbox }: Person, domain: string, taken: Set<string>): string {
  let address = `${mailbox}@${domain}`;
  for (let number = 2; taken.has(address); number++) address = `${mailbox}${number}@${domain}`;
  taken.add(address);
  return address;
}

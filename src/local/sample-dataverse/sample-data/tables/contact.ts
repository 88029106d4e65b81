import { choiceColumn, columns, lookupColumn } from '../../metadata/model-builder.ts';
import { day } from '../../rows/moments.ts';
import type { Random } from '../../rows/random.ts';
import type { Lookup } from '../../rows/values.ts';
import type { Business, Contact } from '../business.ts';
import { currencies } from '../words/currencies.ts';
import { phoneNumber } from '../words/places.ts';
import { someNote } from '../words/texts.ts';
import { leadSourceShares, leadSources, owned, type SampleTable } from './common-columns.ts';

export const contact: SampleTable = {
  spec: {
    name: 'contact',
    set: 'contacts',
    primaryName: 'fullname',
    tracked: true,
    columns: [
      ...columns({
        contactid: 'id',
        fullname: 'text',
        firstname: 'text:50',
        lastname: 'text:50',
        jobtitle: 'text:100',
        emailaddress1: 'text',
        telephone1: 'text:50',
        description: 'memo',
        birthdate: 'date',
        annualincome: 'money',
        numberofchildren: 'int',
        donotphone: 'bool',
        address1_city: 'text',
        address1_country: 'text:80',
        new_loyaltynumber: 'int64',
      }),
      ...owned(),
      choiceColumn('familystatuscode', 'choice', [
        [1, 'Single'],
        [2, 'Married'],
        [3, 'Divorced'],
        [4, 'Widowed'],
      ]),
      choiceColumn('leadsourcecode', 'choice', leadSources),
      lookupColumn('parentcustomerid', [
        ['account', 'parentcustomerid_account'],
        ['contact', 'parentcustomerid_contact'],
      ]),
      lookupColumn('transactioncurrencyid', [['transactioncurrency', 'transactioncurrencyid']]),
    ],
    keys: [{ name: 'new_email_key', columns: ['emailaddress1'] }],
    weight: 0.25,
  },
  rows: (business) => (index, random) => {
    const facts = business.contacts[index]!;
    const { person, company } = facts;
    const active = !random.chance(0.06);
    const currency = business.currencyIndex(company);
    const { rate } = currencies[currency]!;
    return {
      ...business.stamps(facts.created, random),
      fullname: person.full,
      firstname: person.first,
      lastname: person.last,
      jobtitle: random.chance(0.12) ? null : person.jobTitle,
      emailaddress1: random.chance(0.05) ? null : facts.email,
      telephone1: random.chance(0.2) ? null : phoneNumber(company.place, random),
      description: random.chance(0.6) ? null : someNote(random, company.name),
      birthdate: random.chance(0.4) ? null : business.now - day * 365.25 * (22 + 44 * random.fraction()),
      annualincome: random.chance(0.6) ? null : yearlyIncome(rate, random),
      numberofchildren: random.chance(0.5) ? null : random.weighted(children).value,
      donotphone: random.chance(0.15),
      address1_city: company.place.city.name,
      address1_country: company.place.country.name,
      // Eighteen digits, which is more than a double holds.
      new_loyaltynumber: random.chance(0.45) ? null : BigInt(`308${random.digits(15)}`),
      statecode: active ? 0 : 1,
      statuscode: active ? 1 : 2,
      familystatuscode: random.chance(0.45) ? null : random.weighted(familyStatuses).value,
      leadsourcecode: random.chance(0.2) ? null : random.weighted(leadSourceShares).value,
      _parentcustomerid_value: parentOf(business, facts, index, random),
      _transactioncurrencyid_value: business.lookup('transactioncurrency', currency),
    };
  },
};

const children = [
  { value: 0, weight: 40 },
  { value: 1, weight: 20 },
  { value: 2, weight: 28 },
  { value: 3, weight: 9 },
  { value: 4, weight: 3 },
];

const familyStatuses = [
  { value: 2, weight: 55 },
  { value: 1, weight: 30 },
  { value: 3, weight: 12 },
  { value: 4, weight: 3 },
];

function yearlyIncome(rate: number, random: Random): number {
  return Number((rate * 52_000 * Math.exp(0.4 * random.normal())).toPrecision(2));
}

/** The account or, for some contacts without one, another contact. */
function parentOf(business: Business, { account }: Contact, index: number, random: Random): Lookup | null {
  if (account !== undefined) return business.lookup('account', account);
  return index > 0 && random.chance(0.6) ? business.lookup('contact', random.below(index)) : null;
}

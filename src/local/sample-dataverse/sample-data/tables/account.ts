import { choiceColumn, columns, lookupColumn } from '../../metadata/model-builder.ts';
import { day } from '../../rows/moments.ts';
import type { Random } from '../../rows/random.ts';
import { someImage } from '../images.ts';
import { industries, streetAddress } from '../words/companies.ts';
import { currencies } from '../words/currencies.ts';
import type { Language } from '../words/languages.ts';
import { type Place, phoneNumber, postalCode } from '../words/places.ts';
import { someNote } from '../words/texts.ts';
import { owned, type SampleTable } from './common-columns.ts';

export const account: SampleTable = {
  spec: {
    name: 'account',
    set: 'accounts',
    primaryName: 'name',
    tracked: true,
    columns: [
      ...columns({
        accountid: 'id',
        name: 'text',
        accountnumber: 'text:20',
        description: 'memo',
        emailaddress1: 'text',
        telephone1: 'text:50',
        websiteurl: 'text:200',
        address1_line1: 'text:250',
        address1_postalcode: 'text:20',
        address1_city: 'text',
        address1_stateorprovince: 'text:50',
        address1_country: 'text:80',
        address1_latitude: 'double',
        address1_longitude: 'double',
        address1_addressid: 'guid',
        revenue: 'money',
        revenue_base: 'money:10!',
        creditlimit: 'money',
        exchangerate: 'decimal:28:12',
        numberofemployees: 'int',
        creditonhold: 'bool',
        donotemail: 'bool',
        lastusedincampaign: 'datetime',
        new_founded: 'date',
        entityimage: 'binary',
        entityimageid: 'guid!',
        new_contract: 'file',
        new_contract_name: 'text!',
      }),
      ...owned(),
      choiceColumn(
        'industrycode',
        'choice',
        industries.map(({ code, label }) => [code, label] as const).sort(([a], [b]) => a - b),
      ),
      choiceColumn('new_regions', 'multichoice', [
        [100000000, 'North'],
        [100000001, 'South'],
        [100000002, 'Ελλάδα'],
        [100000003, '日本'],
      ]),
      lookupColumn('primarycontactid', [['contact', 'primarycontactid']]),
      lookupColumn('parentaccountid', [['account', 'parentaccountid']]),
      lookupColumn('transactioncurrencyid', [['transactioncurrency', 'transactioncurrencyid']]),
    ],
    keys: [{ name: 'new_accountnumber_key', columns: ['accountnumber'] }],
    weight: 0.2,
  },
  rows: (business) => (index, random) => {
    const facts = business.accounts[index]!;
    const { company, employees, created } = facts;
    const { place, domain } = company;
    const currency = business.currencyIndex(company);
    const { rate } = currencies[currency]!;
    const revenue = random.chance(0.1) ? null : rounded(facts.revenue * rate, 3);
    const active = !random.chance(0.07);
    const image = random.chance(0.3) ? someImage(random) : null;
    const contact = business.primaryContacts.get(index);
    return {
      ...business.stamps(created, random),
      name: company.name,
      accountnumber: `A-${String(index + 1).padStart(7, '0')}`,
      description: random.chance(0.35) ? null : someNote(random, company.name),
      emailaddress1: random.chance(0.08) ? null : `${mailboxes[place.country.language] ?? 'info'}@${domain}`,
      telephone1: random.chance(0.06) ? null : phoneNumber(place, random),
      websiteurl: random.chance(0.1) ? null : `https://www.${domain}`,
      address1_line1: streetAddress(place, random),
      address1_postalcode: postalCode(place, random),
      address1_city: place.city.name,
      address1_stateorprovince: place.city.state ?? null,
      address1_country: place.country.name,
      address1_latitude: nearby(place.city.latitude, random),
      address1_longitude: nearby(place.city.longitude, random),
      address1_addressid: random.guid(),
      revenue,
      revenue_base: revenue === null ? null : revenue / rate,
      creditlimit: random.chance(0.3) ? null : rounded(facts.revenue * rate * 0.02, 1),
      exchangerate: rate,
      numberofemployees: random.chance(0.05) ? null : employees,
      creditonhold: random.chance(0.06) ? null : random.chance(0.05),
      donotemail: random.chance(0.09),
      lastusedincampaign: random.chance(0.4) ? null : lastUse(created, business.now, random),
      new_founded: random.chance(0.25) ? null : founded(created, random),
      entityimage: image,
      entityimageid: image === null ? null : random.guid(),
      new_contract: null,
      new_contract_name: null,
      statecode: active ? 0 : 1,
      statuscode: active ? 1 : 2,
      industrycode: random.chance(0.06) ? null : company.industry.code,
      new_regions: regionsOf(place, random),
      _primarycontactid_value: business.lookup('contact', contact),
      // The oldest tenth of the accounts are the parents of others.
      _parentaccountid_value: random.chance(0.12)
        ? business.lookup('account', parentOf(index, business.accounts.length, random))
        : null,
      _transactioncurrencyid_value: business.lookup('transactioncurrency', currency),
    };
  },
};

const mailboxes: Partial<Record<Language, string>> = {
  da: 'kontakt',
  de: 'kontakt',
  fr: 'contact',
  nl: 'contact',
  no: 'post',
  pl: 'biuro',
  en: 'office',
};

/** Rounds to significant digits. */
function rounded(amount: number, digits: number): number {
  return Number(amount.toPrecision(digits));
}

/** A coordinate within about five kilometres, to about a metre. */
function nearby(degrees: number, random: Random): number {
  return Number((degrees + 0.045 * random.normal()).toFixed(5));
}

function lastUse(created: number, now: number, random: Random): number {
  return Math.floor((now - Math.min(now - created, 240 * day) * random.fraction()) / 1000) * 1000;
}

function founded(created: number, random: Random): number {
  return created - 365 * day * (1 + Math.min(140, random.exponential(28)));
}

function parentOf(index: number, count: number, random: Random): number | undefined {
  const groups = Math.ceil(count / 10);
  return index < groups ? undefined : random.below(groups);
}

function regionsOf({ country, city }: Place, random: Random): string | null {
  if (country.language === 'el') return '100000001,100000002';
  if (country.language === 'ja') return '100000003';
  if (random.chance(0.1)) return null;
  if (random.chance(0.12)) return '100000000,100000001';
  return city.latitude > 47 ? '100000000' : '100000001';
}

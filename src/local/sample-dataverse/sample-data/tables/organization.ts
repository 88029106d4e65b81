import { columns, lookupColumn } from '../../metadata/model-builder.ts';
import { day, momentAfter } from '../../rows/moments.ts';
import { currencies } from '../words/currencies.ts';
import { type SampleTable, stamped } from './common-columns.ts';

export const organization: SampleTable = {
  spec: {
    name: 'organization',
    set: 'organizations',
    primaryName: 'name',
    columns: [
      ...columns({
        organizationid: 'id',
        name: 'text',
        languagecode: 'int',
        expirechangetrackingindays: 'int',
        isauditenabled: 'bool',
      }),
      ...stamped(),
    ],
  },
  rows: (business) => (_, random) => ({
    ...business.stamps(momentAfter(business.now - 1200 * day, 2, business.now, random), random),
    name: 'Contoso',
    languagecode: 1033,
    expirechangetrackingindays: 7,
    isauditenabled: true,
  }),
};

const regions = [
  'Nordics',
  'Central Europe',
  'United Kingdom & Ireland',
  'Western Europe',
  'North America',
  'Southern Europe',
  'Asia Pacific',
];
const functions = ['Sales', 'Marketing', 'Customer Service', 'Logistics', 'Finance'];
/** The root, its regions, and the functions of each region. */
const unitNames = [
  'Contoso',
  ...regions,
  ...functions.flatMap((name) => regions.map((region) => `${region} ${name}`)),
];

/** The name of one of the regions. */
export function regionName(index: number): string {
  return regions[index % regions.length]!;
}

export function businessUnitName(index: number): string {
  return unitNames[index] ?? `Contoso Project Office ${index - unitNames.length + 1}`;
}

function parentUnit(index: number): number | undefined {
  if (index === 0) return undefined;
  return index <= regions.length || index >= unitNames.length ? 0 : ((index - 1) % regions.length) + 1;
}

export const businessUnit: SampleTable = {
  spec: {
    name: 'businessunit',
    set: 'businessunits',
    displayName: 'Business Unit',
    primaryName: 'name',
    columns: [
      ...columns({ businessunitid: 'id', name: 'text', costcenter: 'text', isdisabled: 'bool' }),
      ...stamped(),
      lookupColumn('parentbusinessunitid', [['businessunit', 'parentbusinessunitid']]),
    ],
    weight: 0.002,
  },
  mostRows: unitNames.length,
  rows: (business) => (index, random) => ({
    ...business.stamps(momentAfter(business.now - (1190 - 3 * index) * day, 2, business.now, random), random),
    name: businessUnitName(index),
    costcenter: `CC-${1000 + 10 * index}`,
    isdisabled: index > 7 && random.chance(0.05),
    _parentbusinessunitid_value: business.lookup('businessunit', parentUnit(index)),
  }),
};

export const transactionCurrency: SampleTable = {
  spec: {
    name: 'transactioncurrency',
    set: 'transactioncurrencies',
    displayName: 'Currency',
    primaryName: 'currencyname',
    columns: [
      ...columns({
        transactioncurrencyid: 'id',
        currencyname: 'text',
        isocurrencycode: 'text:5',
        currencysymbol: 'text:10',
        exchangerate: 'decimal:28:12',
        entityimage: 'binary',
      }),
      ...stamped(),
    ],
    weight: 0.001,
  },
  mostRows: currencies.length,
  rows: (business) => (index, random) => {
    const { name, code, symbol, rate } = currencies[index % currencies.length]!;
    const round = Math.floor(index / currencies.length);
    return {
      ...business.stamps(momentAfter(business.now - 1180 * day, 30, business.now, random), random),
      currencyname: round === 0 ? name : `${name} ${round + 1}`,
      isocurrencycode: code,
      currencysymbol: symbol,
      exchangerate: rate,
      entityimage: null,
    };
  },
};

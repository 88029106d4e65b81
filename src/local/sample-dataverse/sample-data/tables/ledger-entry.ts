import { columns, lookupColumn } from '../../metadata/model-builder.ts';
import { currencies } from '../words/currencies.ts';
import { type SampleTable, stamped } from './common-columns.ts';

/** An entry in the books. `new_ratio` is the VAT rate, `new_small` the term of payment in days. */
export const ledgerEntry: SampleTable = {
  spec: {
    name: 'new_ledgerentry',
    set: 'new_ledgerentries',
    displayName: 'Ledger entry',
    primaryName: 'new_name',
    tracked: true,
    columns: [
      ...columns({
        new_ledgerentryid: 'id',
        new_name: 'text',
        new_amount: 'money',
        new_rate: 'decimal:28:12',
        new_serial: 'int64',
        new_ratio: 'double',
        new_small: 'int16',
        new_bookedon: 'date',
      }),
      ...stamped(),
      lookupColumn('new_account', [['account', 'new_Account']]),
    ],
    weight: 0.03,
  },
  rows: (business) => (index, random) => {
    const created = business.timeline('new_ledgerentry')[index]!;
    const account = random.chance(0.06) ? undefined : business.accountAt(created, random);
    const known = account === undefined ? undefined : business.accounts[account]!;
    const { rate } = currencies[known === undefined ? 0 : business.currencyIndex(known.company)]!;
    const { label, sign } = random.weighted(kinds);
    // A large customer orders more: one two-thousandth of its revenue, but at most 40,000 euros.
    const usual = Math.min(40_000, Math.max(60, (known?.revenue ?? 1e6) / 2000));
    const date = new Date(created).toISOString().slice(0, 10);
    return {
      ...business.stamps(created, random),
      new_name: `${label} ${date.slice(0, 4)}-${100_001 + index}`,
      new_amount: sign * usual * rate * Math.exp(0.7 * random.normal()),
      new_rate: rate * (1 + 0.01 * random.normal()),
      // Date and number in eighteen digits, which is more than a double holds.
      new_serial: BigInt(`${date.replaceAll('-', '')}${String(index + 1).padStart(10, '0')}`),
      new_ratio: known?.company.place.country.vat ?? 0.25,
      new_small: random.weighted(terms).value,
      new_bookedon: created,
      _new_account_value: business.lookup('account', account),
    };
  },
};

const kinds = [
  { label: 'Invoice', sign: 1, weight: 58 },
  { label: 'Payment', sign: -1, weight: 34 },
  { label: 'Credit note', sign: -0.3, weight: 8 },
];

const terms = [
  { value: 30, weight: 60 },
  { value: 14, weight: 22 },
  { value: 45, weight: 8 },
  { value: 60, weight: 8 },
  { value: 8, weight: 2 },
];

import { columns, lookupColumn } from '../../metadata/model-builder.ts';
import { day } from '../../rows/moments.ts';
import { owned, type SampleTable } from './common-columns.ts';
import { regionName } from './organization.ts';

/** Occasions with the months in which their campaigns start. January is 0. */
const seasons = [
  { name: 'Spring Launch', months: [1, 2, 3, 4] },
  { name: 'Summer Sale', months: [5, 6, 7] },
  { name: 'Autumn Catalogue', months: [8, 9] },
  { name: 'Holiday Gifts', months: [10, 11] },
  { name: 'New Year Calendar', months: [0, 11] },
];
const occasions = ['Trade Fair Season', 'Loyalty Programme', 'Win-Back', 'Webinar Series', 'Partner Days'];
const ranges = [
  ...['Event Displays', 'Brochures', 'Sustainable Print', 'Business Gifts', 'Office Supplies', 'Textiles'],
  ...['Packaging', 'Large Format'],
];

export const campaign: SampleTable = {
  spec: {
    name: 'new_campaign',
    set: 'new_campaigns',
    primaryName: 'new_name',
    tracked: true,
    columns: [
      ...columns({
        new_campaignid: 'id',
        new_name: 'text',
        new_budget: 'money',
        new_startson: 'date',
        new_reach: 'int64',
      }),
      ...owned(),
      lookupColumn('new_customerid', [
        ['account', 'new_customerid_account'],
        ['contact', 'new_customerid_contact'],
      ]),
    ],
    weight: 0.03,
  },
  rows: (business) => (index, random) => {
    const created = business.timeline('new_campaign')[index]!;
    const starts = created + random.between(7, 75) * day;
    const date = new Date(starts);
    const fitting = seasons.filter(({ months }) => months.includes(date.getUTCMonth()));
    const occasion = random.chance(0.5) ? random.pick(fitting).name : random.pick(occasions);
    const ended = starts + 45 * day < business.now;
    const budget = 500 * Math.max(4, Math.round(Math.exp(3.4 + 0.9 * random.normal())));
    const kind = random.fraction();
    return {
      ...business.stamps(created, random),
      new_name: `${occasion} ${date.getUTCFullYear()}: ${random.pick(ranges)}, ${regionName(random.below(7))}`,
      new_budget: random.chance(0.05) ? null : budget,
      new_startson: starts,
      // Reaching one person costs between 2 and 20 cents.
      new_reach:
        starts > business.now || random.chance(0.05)
          ? null
          : Math.round(budget * (5 + 45 * random.fraction())),
      statecode: ended ? 1 : 0,
      statuscode: ended ? 2 : 1,
      _new_customerid_value:
        kind < 0.5
          ? business.anyOf('account', random)
          : kind < 0.7
            ? business.anyOf('contact', random)
            : null,
    };
  },
};

export const accountCampaign: SampleTable = {
  spec: {
    name: 'new_account_new_campaign',
    set: 'new_account_new_campaignset',
    intersect: [
      ['account', 'accountid', 'new_account_new_campaign'],
      ['new_campaign', 'new_campaignid', 'new_account_new_campaign'],
    ],
    weight: 0.03,
  },
};

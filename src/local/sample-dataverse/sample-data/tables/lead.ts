import { choiceColumn, columns, lookupColumn } from '../../metadata/model-builder.ts';
import { day } from '../../rows/moments.ts';
import type { Random } from '../../rows/random.ts';
import { phoneNumber } from '../words/places.ts';
import { someEnquiry, someNote } from '../words/texts.ts';
import { leadSourceShares, leadSources, owned, type SampleTable } from './common-columns.ts';

export const lead: SampleTable = {
  spec: {
    name: 'lead',
    set: 'leads',
    primaryName: 'fullname',
    columns: [
      ...columns({
        leadid: 'id',
        fullname: 'text',
        subject: 'text:300',
        companyname: 'text',
        jobtitle: 'text:100',
        emailaddress1: 'text',
        telephone1: 'text:50',
        estimatedamount: 'money',
        description: 'memo',
        decisionmaker: 'bool',
      }),
      ...owned([
        choiceColumn('statecode', 'state', [
          [0, 'Open'],
          [1, 'Qualified'],
          [2, 'Disqualified'],
        ]),
        choiceColumn('statuscode', 'status', [
          [1, 'New', 0],
          [2, 'Contacted', 0],
          [3, 'Qualified', 1],
          [4, 'Lost', 2],
          [5, 'Cannot Contact', 2],
          [6, 'No Longer Interested', 2],
          [7, 'Canceled', 2],
        ]),
      ]),
      choiceColumn('leadsourcecode', 'choice', leadSources),
      choiceColumn('leadqualitycode', 'choice', [
        [1, 'Hot'],
        [2, 'Warm'],
        [3, 'Cold'],
      ]),
      lookupColumn('customerid', [
        ['account', 'customerid_account'],
        ['contact', 'customerid_contact'],
      ]),
    ],
    weight: 0.08,
  },
  rows: (business) => (index, random) => {
    const { person, company, customer, created } = business.leads[index]!;
    const { statecode, statuscode } = progress(created, business.now, customer !== null, random);
    const { subject, source } = someEnquiry(random);
    return {
      ...business.stamps(created, random),
      fullname: person.full,
      subject,
      companyname: company.name,
      jobtitle: random.chance(0.15) ? null : person.jobTitle,
      emailaddress1: random.chance(0.1) ? null : `${person.mailbox}@${company.domain}`,
      telephone1: random.chance(0.3) ? null : phoneNumber(company.place, random),
      estimatedamount: random.chance(0.2) ? null : someAmount(random),
      description: random.chance(0.5) ? null : someNote(random, company.name),
      decisionmaker: random.chance(0.35),
      statecode,
      statuscode,
      leadsourcecode: source ?? random.weighted(leadSourceShares).value,
      leadqualitycode: random.weighted(ratings).value,
      _customerid_value: customer,
    };
  },
};

const ratings = [
  { value: 2, weight: 55 },
  { value: 3, weight: 27 },
  { value: 1, weight: 18 },
];

const lost = [
  { statecode: 2, statuscode: 4, weight: 42 },
  { statecode: 2, statuscode: 6, weight: 30 },
  { statecode: 2, statuscode: 5, weight: 14 },
  { statecode: 0, statuscode: 2, weight: 10 },
  { statecode: 2, statuscode: 7, weight: 4 },
];

/** New leads are open. Most old ones of customers are qualified, the others are lost. */
function progress(created: number, now: number, isCustomer: boolean, random: Random) {
  if (now - created < 60 * day * random.fraction())
    return { statecode: 0, statuscode: random.chance(0.5) ? 1 : 2 };
  return isCustomer && random.chance(0.8) ? { statecode: 1, statuscode: 3 } : random.weighted(lost);
}

/** An amount in euros with two significant digits, mostly between some hundreds and some hundred thousands. */
function someAmount(random: Random): number {
  return Number(Math.exp(8.9 + 1.2 * random.normal()).toPrecision(2));
}

export const accountLeads: SampleTable = {
  spec: {
    name: 'accountleads',
    set: 'accountleadscollection',
    intersect: [
      ['account', 'accountid', 'accountleads_association'],
      ['lead', 'leadid', 'accountleads_association'],
    ],
    idColumn: 'accountleadid',
    weight: 0.02,
  },
};

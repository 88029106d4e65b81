import { metadataId } from '../../metadata/labels.ts';
import { choiceColumn, columns, lookupColumn } from '../../metadata/model-builder.ts';
import { day, momentAfter } from '../../rows/moments.ts';
import type { Random } from '../../rows/random.ts';
import { somePlace } from '../words/places.ts';
import { type SampleTable, stamped } from './common-columns.ts';
import { businessUnitName, regionName } from './organization.ts';

export const principal: SampleTable = {
  spec: { name: 'principal', abstract: true, key: 'ownerid', columns: columns({ ownerid: 'id' }) },
};

export const systemUser: SampleTable = {
  spec: {
    name: 'systemuser',
    set: 'systemusers',
    displayName: 'User',
    base: 'principal',
    primaryName: 'fullname',
    tracked: true,
    columns: [
      ...columns({
        systemuserid: 'id',
        fullname: 'text',
        domainname: 'text:1024',
        internalemailaddress: 'text',
        title: 'text:128',
        isdisabled: 'bool',
        applicationid: 'guid',
        azureactivedirectoryobjectid: 'guid',
        organizationid: 'guid!',
        address1_latitude: 'double',
      }),
      ...stamped(),
      lookupColumn('businessunitid', [['businessunit', 'businessunitid']]),
      lookupColumn('parentsystemuserid', [['systemuser', 'parentsystemuserid']]),
    ],
    weight: 0.01,
  },
  rows: (business) => (index, random) => {
    const { person, email, unit } = business.users[index]!;
    const managers = Math.ceil(business.users.length / 8);
    return {
      ...business.stamps(momentAfter(business.now - 1150 * day, 250, business.now, random), random),
      ...(index === 0
        ? application
        : { fullname: person.full, domainname: email, internalemailaddress: email }),
      title: titleOf(index, managers, random),
      isdisabled: index > 0 && random.chance(0.07),
      applicationid: index === 0 ? random.guid() : null,
      azureactivedirectoryobjectid: metadataId('entra', String(index)),
      organizationid: business.plan.count('organization') === 0 ? null : business.plan.id('organization', 0),
      address1_latitude: index === 0 ? null : somePlace(random).city.latitude,
      _businessunitid_value: business.lookup('businessunit', unit),
      _parentsystemuserid_value: business.lookup('systemuser', managerOf(index, managers, random)),
    };
  },
};

/** The first user is the application that makes the requests. Dataverse marks such names with a `#`. */
const application = {
  fullname: '# Campaign Service',
  domainname: 'campaign-service@contoso.example',
  internalemailaddress: null,
};

/** The second user leads the organization, the next ones lead a team each. */
function titleOf(index: number, managers: number, random: Random): string | null {
  if (index === 0) return null;
  if (index === 1) return 'Managing Director';
  return index <= managers ? 'Team Lead' : random.pick(jobs);
}

function managerOf(index: number, managers: number, random: Random): number | undefined {
  if (index <= 1) return undefined;
  return index <= managers ? 1 : random.between(1, managers);
}

const jobs = [
  'Account Manager',
  'Sales Representative',
  'Customer Service Agent',
  'Marketing Specialist',
  'Logistics Coordinator',
  'Accountant',
];

const teamWork = [
  ...['Key Accounts', 'Trade Fairs', 'Print Production', 'Inside Sales', 'Customer Success', 'Partners'],
  ...['Onboarding', 'Pricing', 'Campaigns', 'Returns'],
];

export const team: SampleTable = {
  spec: {
    name: 'team',
    set: 'teams',
    base: 'principal',
    primaryName: 'name',
    tracked: true,
    columns: [
      ...columns({ teamid: 'id', name: 'text', description: 'memo', isdefault: 'bool' }),
      ...stamped(),
      choiceColumn('teamtype', 'choice', [
        [0, 'Owner'],
        [1, 'Access'],
        [2, 'Security Group'],
      ]),
      lookupColumn('administratorid', [['systemuser', 'administratorid']]),
      lookupColumn('businessunitid', [['businessunit', 'businessunitid']]),
    ],
    weight: 0.005,
  },
  // Every business unit has a default team of its own name.
  rows: (business) => (index, random) => {
    const units = business.plan.count('businessunit');
    const isDefault = index < units;
    const extra = index - units;
    const work = `${teamWork[Math.floor(extra / 7) % teamWork.length]} ${regionName(extra)}`;
    return {
      ...business.stamps(momentAfter(business.now - 1150 * day, 200, business.now, random), random),
      name: isDefault ? businessUnitName(index) : work,
      description: isDefault
        ? 'Default team for the parent business unit. The name and membership follow the business unit.'
        : `Everyone who works on ${work}.`,
      isdefault: isDefault,
      teamtype: isDefault ? 0 : random.weighted(teamTypes).value,
      _administratorid_value: business.anyOf('systemuser', random),
      _businessunitid_value: business.lookup('businessunit', isDefault ? index : (extra % 7) + 1),
    };
  },
};

const teamTypes = [
  { value: 0, weight: 70 },
  { value: 2, weight: 20 },
  { value: 1, weight: 10 },
];

export const teamMembership: SampleTable = {
  spec: {
    name: 'teammembership',
    set: 'teammemberships',
    intersect: [
      ['systemuser', 'systemuserid', 'teammembership_association'],
      ['team', 'teamid', 'teammembership_association'],
    ],
    weight: 0.01,
  },
};

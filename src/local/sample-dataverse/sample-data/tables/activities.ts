import { choiceColumn, columns, lookupColumn } from '../../metadata/model-builder.ts';
import { day, hour } from '../../rows/moments.ts';
import type { Random } from '../../rows/random.ts';
import type { Business, Subject } from '../business.ts';
import { someEmail, someNote, someTask } from '../words/texts.ts';
import { owned, type SampleTable } from './common-columns.ts';

export const activityPointer: SampleTable = {
  spec: {
    name: 'activitypointer',
    set: 'activitypointers',
    displayName: 'Activity',
    abstract: true,
    key: 'activityid',
    primaryName: 'subject',
    tracked: true,
    columns: [
      ...columns({
        activityid: 'id',
        activitytypecode: 'text:64!',
        subject: 'text:200',
        description: 'memo',
        scheduledend: 'datetime',
        actualdurationminutes: 'int',
        isbilled: 'bool',
      }),
      ...owned([
        choiceColumn('statecode', 'state', [
          [0, 'Open'],
          [1, 'Completed'],
          [2, 'Canceled'],
        ]),
        choiceColumn('statuscode', 'status', [
          [1, 'Open', 0],
          [2, 'Completed', 1],
          [3, 'Canceled', 2],
        ]),
      ]),
      lookupColumn('regardingobjectid', [
        ['account', 'regardingobjectid_account'],
        ['contact', 'regardingobjectid_contact'],
        ['lead', 'regardingobjectid_lead'],
      ]),
    ],
  },
};

export const email: SampleTable = {
  spec: {
    name: 'email',
    set: 'emails',
    base: 'activitypointer',
    primaryName: 'subject',
    tracked: true,
    columns: columns({
      messageid: 'text:320',
      trackingtoken: 'text:50',
      attachmentcount: 'int',
      lastopenedtime: 'datetime',
    }),
    weight: 0.12,
  },
  rows: (business) => (index, random) => {
    const created = business.timeline('email')[index]!;
    const about = regarding(business, created, random);
    const { subject, body } = someEmail(random, about);
    const opened = created + 1000 * Math.floor(random.exponential(4 * 3600));
    return {
      ...business.stamps(created, random),
      ...state(random.chance(business.now - created < 14 * day ? 0.8 : 0.99) ? 1 : 0),
      subject,
      description: body,
      scheduledend: null,
      actualdurationminutes: random.chance(0.7) ? null : random.between(2, 25),
      isbilled: false,
      messageid: `<${random.guid().replaceAll('-', '')}@mail.contoso.example>`,
      trackingtoken: `CRM:${String(40_001 + index).padStart(7, '0')}`,
      attachmentcount: random.chance(0.6) ? 0 : random.between(1, 4),
      lastopenedtime: opened < business.now && random.chance(0.6) ? opened : null,
      _regardingobjectid_value: about.lookup,
    };
  },
};

const categories = ['Sales', 'Service', 'Marketing', 'Billing', 'Logistics'];

export const task: SampleTable = {
  spec: {
    name: 'task',
    set: 'tasks',
    base: 'activitypointer',
    primaryName: 'subject',
    columns: columns({ category: 'text:250', percentcomplete: 'int', crmtaskassigneduniqueid: 'guid' }),
    weight: 0.08,
  },
  rows: (business) => (index, random) => {
    const created = business.timeline('task')[index]!;
    const about = regarding(business, created, random);
    const due = Math.floor((created + random.between(1, 21) * day) / day) * day + 15 * hour;
    const statecode = due < business.now ? (random.chance(0.88) ? 1 : 2) : random.chance(0.3) ? 1 : 0;
    return {
      ...business.stamps(created, random),
      ...state(statecode),
      subject: someTask(random, about),
      description: random.chance(0.55) ? null : someNote(random, about.company.name),
      scheduledend: due,
      actualdurationminutes: statecode === 1 ? 15 * random.between(1, 16) : null,
      isbilled: statecode === 1 && random.chance(0.12),
      category: random.chance(0.25) ? null : random.pick(categories),
      percentcomplete: statecode === 1 ? 100 : 25 * random.below(4),
      crmtaskassigneduniqueid: random.chance(0.5) ? null : random.guid(),
      _regardingobjectid_value: about.lookup,
    };
  },
};

function state(statecode: number): { statecode: number; statuscode: number } {
  return { statecode, statuscode: statecode + 1 };
}

/** What an activity is about: mostly a recent account or contact, sometimes a lead or someone new. */
function regarding(business: Business, created: number, random: Random): Subject {
  const lead = random.chance(0.17) ? business.leadAt(created, random) : undefined;
  return lead ?? business.customerAt(created, random, 0.92);
}

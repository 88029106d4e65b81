import type { Model } from '../metadata/model.ts';
import { columns, tablesFromSpecs } from '../metadata/model-builder.ts';
import type { RowGenerator, RowPlan } from '../rows/row-plan.ts';
import { Business } from './business.ts';
import { account } from './tables/account.ts';
import { activityPointer, email, task } from './tables/activities.ts';
import { accountCampaign, campaign } from './tables/campaign.ts';
import { campaignMetrics } from './tables/campaign-metrics.ts';
import type { SampleTable } from './tables/common-columns.ts';
import { contact } from './tables/contact.ts';
import { accountLeads, lead } from './tables/lead.ts';
import { ledgerEntry } from './tables/ledger-entry.ts';
import { businessUnit, organization, transactionCurrency } from './tables/organization.ts';
import { box, shipmentLine } from './tables/shipments.ts';
import { surveyResponse } from './tables/survey-response.ts';
import { principal, systemUser, team, teamMembership } from './tables/users-and-teams.ts';
import { webResource } from './tables/web-resource.ts';
import { wideRecord } from './tables/wide-record.ts';

const stringMap: SampleTable = {
  spec: {
    name: 'stringmap',
    set: 'stringmaps',
    columns: columns({
      stringmapid: 'id',
      objecttypecode: 'text:64',
      attributename: 'text:100',
      attributevalue: 'int',
      value: 'text:4000',
      langid: 'int',
      displayorder: 'int',
      versionnumber: 'int64!',
    }),
  },
};

/** Tables come after the tables that they derive from or join. */
const sampleTables = [
  ...[organization, businessUnit, transactionCurrency, principal, systemUser, team],
  ...[account, contact, lead, activityPointer, email, task],
  ...[campaign, box, shipmentLine, ledgerEntry, wideRecord, webResource, surveyResponse, campaignMetrics],
  ...[stringMap, teamMembership, accountLeads, accountCampaign],
];

export interface SampleModel {
  model: Model;
  /** Each table's share of the rows. */
  weights: Map<string, number>;
  /** Limits on the number of rows. */
  mostRows: Map<string, number>;
  generators: Map<string, (plan: RowPlan) => RowGenerator>;
}

/** The sample organization: 24 tables with every kind of column and relationship that Dataverse has. */
export function sampleModel(options: { campaignMetrics: boolean }): SampleModel {
  const tables = sampleTables.filter((table) => options.campaignMetrics || table !== campaignMetrics);
  let business: Business | undefined;
  const generators = new Map<string, (plan: RowPlan) => RowGenerator>();
  const weights = new Map<string, number>();
  const mostRows = new Map<string, number>();
  for (const { spec, rows, mostRows: most } of tables) {
    if (most !== undefined) mostRows.set(spec.name, most);
    if (spec.weight !== undefined) weights.set(spec.name, spec.weight);
    if (rows === undefined) continue;
    generators.set(spec.name, (plan) => {
      business ??= new Business(plan);
      return rows(business);
    });
  }
  return { model: tablesFromSpecs(tables.map(({ spec }) => spec)), weights, mostRows, generators };
}

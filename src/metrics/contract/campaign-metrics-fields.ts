/**
 * The fields of a record, in reading order. The contract, the Dataverse columns and the table definition all derive
 * from this list.
 */

/** The largest value of a whole-number column; learn.microsoft.com: IntegerAttributeMetadata. */
export const maxInteger = 2_147_483_647;

/** Text of up to `maxLength` UTF-16 units, which is how Dataverse counts. */
const text = (maxLength: number, description: string) => ({ kind: 'text', maxLength, description }) as const;
/** A whole number from 0 to `maxInteger`. */
const integer = (description: string) => ({ kind: 'integer', description }) as const;
/** A decimal number from 0 to `max` with at most this many decimal places. */
const decimal = (places: number, max: number, description: string) =>
  ({ kind: 'decimal', places, max, description }) as const;
/** A time: RFC 3339 in requests, UTC in Dataverse. */
const time = (description: string) => ({ kind: 'time', description }) as const;

export const campaignMetricsFields = {
  campaignId: text(64, 'The campaign.'),
  runId: text(64, 'One run of the campaign.'),
  phase: text(16, 'The phase of the run.'),
  agentsTotal: integer('Agents that took part.'),
  agentsSuccessful: integer('Agents that reached their goal; at most agentsTotal.'),
  assetsGenerated: integer('Assets that the run generated.'),
  tokensIn: integer('Tokens sent to models.'),
  tokensOut: integer('Tokens received from models.'),
  latencyP95Ms: integer('95th percentile of latency, in milliseconds.'),
  latencyAvgMs: integer('Average latency, in milliseconds.'),
  costUSD: decimal(5, 99_999.99999, 'Cost in US dollars.'),
  successRate: decimal(2, 100, 'Successful agents in percent. Default: computed from the agents.'),
  createdAt: time('When the run was measured. Default: now.'),
};

export type CampaignMetricsFieldName = keyof typeof campaignMetricsFields;
export type CampaignMetricsField = (typeof campaignMetricsFields)[CampaignMetricsFieldName];
export const campaignMetricsFieldNames = Object.keys(campaignMetricsFields) as CampaignMetricsFieldName[];

/** The fields that identify a record: the same three values mean the same row. */
export const campaignMetricsKey = ['campaignId', 'runId', 'phase'] as const;

/** A complete record: `createdAt` is UTC, `successRate` is set. */
export type CampaignMetrics = {
  [Name in CampaignMetricsFieldName]: (typeof campaignMetricsFields)[Name]['kind'] extends 'text' | 'time'
    ? string
    : number;
};

type Optional = 'phase' | 'successRate' | 'createdAt';
/** A record as callers send it: three fields have defaults. */
export type CampaignMetricsInput = Omit<CampaignMetrics, Optional> & Partial<Pick<CampaignMetrics, Optional>>;

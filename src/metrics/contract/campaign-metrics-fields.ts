/**
 * The fields of a campaign's metrics, in the order in which people read them.
 * The contract, the Dataverse columns and the table's definition are all made from this list.
 */

/** Text, up to so many UTF-16 units: what Dataverse counts. */
export interface TextField {
  kind: 'text';
  maxLength: number;
  description: string;
}

/** A whole number from 0 to Dataverse's greatest (32 bits). */
export interface IntegerField {
  kind: 'integer';
  description: string;
}

/** A decimal number from 0 to `max`, with so many places and never more. */
export interface DecimalField {
  kind: 'decimal';
  places: number;
  max: number;
  description: string;
}

/** A moment: RFC 3339 on the way in, UTC in Dataverse. */
export interface TimeField {
  kind: 'time';
  description: string;
}

export type CampaignMetricsField = TextField | IntegerField | DecimalField | TimeField;

/** The greatest value of a whole-number column; learn.microsoft.com: IntegerAttributeMetadata. */
export const maxInteger = 2_147_483_647;

const integer = (description: string): IntegerField => ({ kind: 'integer', description });

export const campaignMetricsFields = {
  campaignId: { kind: 'text', maxLength: 64, description: 'The campaign.' },
  runId: { kind: 'text', maxLength: 64, description: 'One run of the campaign.' },
  phase: { kind: 'text', maxLength: 16, description: 'The phase of the run.' },
  agentsTotal: integer('Agents that took part.'),
  agentsSuccessful: integer('Agents that reached their goal; at most agentsTotal.'),
  assetsGenerated: integer('Assets that the run made.'),
  tokensIn: integer('Tokens sent to models.'),
  tokensOut: integer('Tokens that models answered with.'),
  latencyP95Ms: integer('95th percentile of latency, in milliseconds.'),
  latencyAvgMs: integer('Average latency, in milliseconds.'),
  costUSD: { kind: 'decimal', places: 5, max: 99_999.99999, description: 'Cost in US dollars.' },
  successRate: {
    kind: 'decimal',
    places: 2,
    max: 100,
    description: 'Successful agents in per cent; computed from the agents where absent.',
  },
  createdAt: { kind: 'time', description: 'When the run was measured; now where absent.' },
} as const satisfies Record<string, CampaignMetricsField>;

export type CampaignMetricsFieldName = keyof typeof campaignMetricsFields;

export const campaignMetricsFieldNames = Object.keys(campaignMetricsFields) as CampaignMetricsFieldName[];

/** The fields that name a record: the same three again mean the same row. */
export const campaignMetricsKey = ['campaignId', 'runId', 'phase'] as const;

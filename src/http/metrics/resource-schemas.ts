import * as z from 'zod';
import { campaignMetricsInput } from '../../metrics/contract/contract.ts';

/** Schemas of the responses: for OpenAPI, and for the tests that check the responses against them. */

const id = z.uuid().meta({
  description:
    'The row id in Dataverse, derived from campaign, run and phase. A row that another program or an earlier version created keeps its own; while a record is queued, the derived id stands for it.',
});
const path = z.string().meta({ description: 'A JSON Pointer; empty for the whole request.' });

// Loose: RFC 9457 allows members that a client does not know.
const problem = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string().optional(),
    hint: z.string().optional().meta({ description: 'What the caller can do about it.' }),
    errors: z.array(z.object({ path, detail: z.string() })).optional(),
    invocationId: z.string().optional().meta({
      description: 'Of an error that the caller did not cause: search for it in the log of the function app.',
    }),
  })
  .meta({ description: 'A problem document (RFC 9457).' });

const stored = campaignMetricsInput.required().extend({ id });

const item = z.union([
  stored.extend({
    status: z.union([z.literal(200), z.literal(201), z.literal(202)]),
    location: z.string(),
  }),
  z.object({ status: z.literal(422), id, problem }),
]);

// Rows written by other programs may lack values.
const listed = z.object(
  Object.fromEntries(
    Object.entries(campaignMetricsInput.shape).map(([name, type]) => [name, type.nullable()]),
  ),
);

const list = z.object({
  items: z.array(listed.extend({ id })),
  next: z.string().optional().meta({ description: 'The address of the next page.' }),
});

const count = z.number().int().min(0);

const summary = z.object({
  since: z.string(),
  until: z.string().optional(),
  aggregatedBy: z.enum(['dataverse', 'rows']),
  items: z.array(
    z.object({
      day: z.string().meta({ description: 'UTC.', format: 'date' }),
      campaignId: z.string(),
      records: count,
      costUSD: z.number(),
      tokensIn: count,
      tokensOut: count,
      assetsGenerated: count,
      agentsTotal: count,
      agentsSuccessful: count,
      successRate: z.number().meta({
        description:
          'Successful agents as a percentage of all agents, of the records that have both numbers.',
      }),
      latencyAvgMs: count.nullable().meta({
        description: 'Average over the records that have one, each with the same weight; null if none has.',
      }),
      latencyP95Ms: count
        .nullable()
        .meta({ description: 'Highest 95th percentile of the records; null if none has one.' }),
    }),
  ),
});

const status = stored.extend({
  state: z
    .enum(['queued', 'written', 'poison'])
    .meta({ description: 'poison: Dataverse rejected the record. It is kept and can be replayed.' }),
  acceptedAt: z.string(),
  location: z.string().meta({ description: 'The address of the record.' }),
  refusedAt: z.string().optional(),
  error: z.string().optional(),
  code: z.string().optional(),
  requestId: z.string().optional(),
  hint: z.string().optional(),
});

export const campaignMetricsResource = { stored, item, list, summary, status, problem };

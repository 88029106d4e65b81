import { z } from 'zod';
import { campaignMetricsInput } from '../../metrics/contract/contract.ts';

/** What is answered, as schemas: for OpenAPI, and for the tests that hold the answers to them. */

const id = z.uuid().meta({ description: 'The row id in Dataverse, made of campaign, run and phase.' });
const path = z.string().meta({ description: 'A JSON Pointer; empty for the whole request.' });

const problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string().optional(),
    errors: z.array(z.object({ path, detail: z.string() })).optional(),
  })
  .meta({ description: 'RFC 9457.' });

const stored = campaignMetricsInput.required().extend({ id });

const item = z.union([
  stored.extend({
    status: z.union([z.literal(200), z.literal(201), z.literal(202)]),
    location: z.string(),
  }),
  z.object({ status: z.literal(422), id, problem }),
]);

// Rows that other programs made may lack values.
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
      successRate: z.number().meta({ description: 'Successful agents of all agents, in per cent.' }),
      latencyAvgMs: count.meta({ description: 'Average of the records’ averages.' }),
      latencyP95Ms: count.meta({ description: 'The worst of the records’ 95th percentiles.' }),
    }),
  ),
});

const status = stored.extend({
  state: z
    .enum(['queued', 'written', 'poison'])
    .meta({ description: 'poison: Dataverse refused it; it lies aside and can be replayed.' }),
  acceptedAt: z.string(),
  location: z.string().meta({ description: 'The record’s own address.' }),
  refusedAt: z.string().optional(),
  error: z.string().optional(),
  code: z.string().optional(),
  requestId: z.string().optional(),
  hint: z.string().optional(),
});

export const campaignMetricsResource = { stored, item, list, summary, status, problem };

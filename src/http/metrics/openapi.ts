import * as z from 'zod';
import { campaignMetricsInput, maxRecords } from '../../metrics/contract/contract.ts';
import { address } from '../address.ts';
import type { Handler } from '../handler.ts';
import { databaseOperation } from '../sync/database-openapi.ts';
import { listQuery, summaryQuery } from './read-query.ts';
import { campaignMetricsResource as resource } from './resource-schemas.ts';

type Json = Record<string, unknown>;

/** `GET /api/openapi.json`: the document, with the address of the request as its server. */
export const getOpenApi: Handler<unknown> = (_services, request) => ({
  jsonBody: openApi(address(request, 'openapi.json').replace(/\/openapi\.json$/, '')),
});

/** The OpenAPI 3.1 document of campaign metrics, generated from the schemas that check the requests, and of the database. */
export function openApi(server: string): Json {
  return {
    openapi: '3.1.1',
    info: {
      title: 'Campaign metrics',
      version: '1.0.0',
      description:
        'Writes what campaign runs cost and achieved to Microsoft Dataverse, and reads it back. Reads the mirror of Dataverse.',
    },
    servers: [{ url: server }],
    security: [{ functionKey: [] }, { functionKeyInQuery: [] }],
    paths: {
      '/metrics/campaign': { post: postOperation(), get: listOperation() },
      '/metrics/campaign/{id}': {
        get: {
          operationId: 'campaignMetricsGet',
          summary: 'One record',
          parameters: [pathParameter('id', z.uuid(), 'The row id, as in the response to POST.')],
          responses: {
            200: answer('The record.', ref('StoredRecord')),
            404: problemAnswer('No such record.'),
          },
        },
      },
      '/metrics/campaign/summary': {
        get: {
          operationId: 'campaignMetricsSummary',
          summary: 'Figures per day and campaign',
          parameters: queryParameters(summaryQuery),
          responses: {
            200: answer('The figures.', ref('Summary')),
            400: problemAnswer('The query is not valid.'),
          },
        },
      },
      '/metrics/campaign/status/{ticket}': {
        get: {
          operationId: 'campaignMetricsStatus',
          summary: 'Whether a record that POST answered with 202 is written',
          parameters: [pathParameter('ticket', z.string(), 'The last segment of the Location of the 202.')],
          responses: {
            200: answer('The state of the record.', ref('Status')),
            404: problemAnswer('No queued record has this address.'),
          },
        },
      },
      '/database': { get: databaseOperation(problemAnswer) },
    },
    components: {
      securitySchemes: {
        functionKey: { type: 'apiKey', in: 'header', name: 'x-functions-key' },
        functionKeyInQuery: { type: 'apiKey', in: 'query', name: 'code' },
      },
      schemas: {
        Record: schema(campaignMetricsInput, 'input'),
        StoredRecord: schema(resource.stored),
        Item: schema(resource.item),
        List: schema(resource.list),
        Summary: schema(resource.summary),
        Status: schema(resource.status),
        Problem: schema(resource.problem),
      },
    },
  };
}

function postOperation(): Json {
  const list = { type: 'array', items: ref('Record'), minItems: 1, maxItems: maxRecords };
  const one = (description: string) =>
    answer(description, { oneOf: [ref('Item'), { type: 'array', items: ref('Item') }] }, 'Location');
  return {
    operationId: 'campaignMetricsPost',
    summary: 'Write one record, or a list of them',
    description:
      'A record with the campaign, run and phase of an earlier one updates its row. A body with a fault is rejected as a whole.',
    parameters: [
      {
        name: 'Prefer',
        in: 'header',
        description: '`respond-async`: queue the records and answer 202 immediately.',
        schema: { type: 'string' },
      },
    ],
    requestBody: {
      required: true,
      content: { 'application/json': { schema: { oneOf: [ref('Record'), list] } } },
    },
    responses: {
      200: one('The existing record is updated.'),
      201: one('The record is created.'),
      202: one(
        'The record is stored in a durable queue and written when Dataverse accepts it. Location has its state.',
      ),
      207: answer('A list whose items have different statuses.', { type: 'array', items: ref('Item') }),
      400: problemAnswer('The body is not valid. `errors` lists every fault.'),
      405: problemAnswer('The method is not allowed.'),
      413: problemAnswer('The body is too large.'),
      415: problemAnswer('The body is not JSON in UTF-8.'),
      422: problemAnswer('Dataverse rejected the record.'),
      500: problemAnswer('The app failed or is not configured correctly.'),
      502: problemAnswer('The table is missing in Dataverse, or the app has no access to it.'),
      503: problemAnswer(
        'Neither Dataverse nor the queue accepted the record. Send it again after Retry-After seconds.',
      ),
    },
  };
}

function listOperation(): Json {
  return {
    operationId: 'campaignMetricsList',
    summary: 'The newest records',
    parameters: queryParameters(listQuery),
    responses: {
      200: answer('A page of records, newest first.', ref('List'), 'Link'),
      400: problemAnswer('The query is not valid.'),
    },
  };
}

const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });

function schema(type: z.ZodType, io: 'input' | 'output' = 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(type, { io });
  return rest;
}

function answer(description: string, type: Json, header?: string): Json {
  const headers = header && { [header]: { schema: { type: 'string' } } };
  return { description, headers, content: { 'application/json': { schema: type } } };
}

function problemAnswer(description: string): Json {
  return { description, content: { 'application/problem+json': { schema: ref('Problem') } } };
}

function pathParameter(name: string, type: z.ZodType, description: string): Json {
  return { name, in: 'path', required: true, description, schema: schema(type) };
}

function queryParameters(type: z.ZodObject): Json[] {
  const { properties } = z.toJSONSchema(type, {
    io: 'input',
    unrepresentable: 'any',
    // zod leaves the default out where a schema converts its input.
    override: ({ zodSchema, jsonSchema }) => {
      const { default: value } = z.globalRegistry.get(zodSchema) ?? {};
      if (value !== undefined) jsonSchema.default = value as number;
    },
  }) as { properties: Record<string, Json> };
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name,
    in: 'query',
    required: false,
    description,
    schema: rest,
  }));
}

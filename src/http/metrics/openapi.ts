import { z } from 'zod';
import { campaignMetricsInput, maxRecords } from '../../metrics/contract/contract.ts';
import { listQuery, summaryQuery } from './read-query.ts';
import { campaignMetricsResource as resource } from './resource-schemas.ts';

type Json = Record<string, unknown>;

/** An OpenAPI 3.1 document of campaign metrics, made of the same schemas that check the requests. */
export function openApi(server: string): Json {
  return {
    openapi: '3.1.1',
    info: {
      title: 'Campaign metrics',
      version: '1.0.0',
      description:
        'Takes what campaign runs cost and achieved, writes it to Microsoft Dataverse, and reads it back.',
    },
    servers: [{ url: server }],
    security: [{ functionKey: [] }, { functionKeyInQuery: [] }],
    paths: {
      '/metrics/campaign': { post: postOperation(), get: listOperation() },
      '/metrics/campaign/{id}': {
        get: {
          operationId: 'campaignMetricsGet',
          summary: 'One record',
          parameters: [pathParameter('id', z.uuid(), 'The row id, as answered to POST.')],
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
          summary: 'What became of a record that was answered with 202',
          parameters: [pathParameter('ticket', z.string(), 'The end of the Location of the 202.')],
          responses: {
            200: answer('Where the record stands.', ref('Status')),
            404: problemAnswer('Nothing was accepted under this address.'),
          },
        },
      },
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
    answer(description, { oneOf: [ref('Item'), { type: 'array', items: ref('Item') }] }, ['Location']);
  return {
    operationId: 'campaignMetricsPost',
    summary: 'Write one record, or a list of them',
    description:
      'The same campaign, run and phase again update the same row. A body with any fault in it is refused whole.',
    parameters: [
      {
        name: 'Prefer',
        in: 'header',
        description: '`respond-async`: queue the records and answer 202 at once.',
        schema: { type: 'string' },
      },
    ],
    requestBody: {
      required: true,
      content: { 'application/json': { schema: { oneOf: [ref('Record'), list] } } },
    },
    responses: {
      200: one('Written over the record that was there.'),
      201: one('Written as a new record.'),
      202: one('Safely queued, to be written as soon as Dataverse takes it. Location tells where it stands.'),
      207: answer('A list whose items ended differently.', { type: 'array', items: ref('Item') }),
      400: problemAnswer('The body is not valid; every fault is listed.'),
      405: problemAnswer('Another method.'),
      413: problemAnswer('The body is too large.'),
      415: problemAnswer('The body is not JSON in UTF-8.'),
      422: problemAnswer('Dataverse refused the record.'),
      502: problemAnswer('Dataverse cannot be used as it is set up.'),
      503: problemAnswer('Neither Dataverse nor the queue took the record: send it again.'),
    },
  };
}

function listOperation(): Json {
  return {
    operationId: 'campaignMetricsList',
    summary: 'The newest records',
    parameters: queryParameters(listQuery),
    responses: {
      200: answer('A page of records, newest first.', ref('List'), ['Link']),
      400: problemAnswer('The query is not valid.'),
    },
  };
}

const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });

function schema(type: z.ZodType, io: 'input' | 'output' = 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(type, { io });
  return rest;
}

function answer(description: string, type: Json, headers: string[] = []): Json {
  return {
    description,
    ...(headers.length === 0
      ? {}
      : { headers: Object.fromEntries(headers.map((name) => [name, { schema: { type: 'string' } }])) }),
    content: { 'application/json': { schema: type } },
  };
}

function problemAnswer(description: string): Json {
  return { description, content: { 'application/problem+json': { schema: ref('Problem') } } };
}

function pathParameter(name: string, type: z.ZodType, description: string): Json {
  return { name, in: 'path', required: true, description, schema: schema(type) };
}

function queryParameters(type: z.ZodObject): Json[] {
  const { properties } = z.toJSONSchema(type, { io: 'input', unrepresentable: 'any' }) as {
    properties: Record<string, Json>;
  };
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name,
    in: 'query',
    required: false,
    description,
    schema: rest,
  }));
}

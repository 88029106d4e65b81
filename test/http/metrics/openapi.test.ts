import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { openApi } from '../../../src/http/metrics/openapi.ts';
import { problemOf } from '../../../src/http/problem.ts';
import { campaignMetricsFieldNames } from '../../../src/metrics/contract/campaign-metrics-fields.ts';
import { campaignMetricsInput } from '../../../src/metrics/contract/contract.ts';

// biome-ignore lint/suspicious/noExplicitAny: the test reads any part of the document
const document = JSON.parse(JSON.stringify(openApi('https://app.example/api'))) as any;

describe('the OpenAPI document', () => {
  test('describes the record by the schema that checks it', () => {
    expect(document.openapi).toMatch(/^3\.1\./);
    const { $schema: _, ...schema } = z.toJSONSchema(campaignMetricsInput, { io: 'input' });
    expect(document.components.schemas.Record).toEqual(JSON.parse(JSON.stringify(schema)));
    expect(Object.keys(document.components.schemas.Record.properties)).toEqual(campaignMetricsFieldNames);
    expect(document.components.schemas.Record).toMatchObject({
      additionalProperties: false,
      required: campaignMetricsFieldNames.filter((n) => !['phase', 'successRate', 'createdAt'].includes(n)),
      properties: {
        campaignId: { minLength: 1, maxLength: 64 },
        phase: { default: '2-3', maxLength: 16 },
        tokensIn: { type: 'integer', minimum: 0, maximum: 2147483647 },
        costUSD: { type: 'number', minimum: 0, multipleOf: 0.00001 },
        successRate: { maximum: 100, multipleOf: 0.01 },
        createdAt: { format: 'date-time' },
      },
    });
  });

  test('lets problems have members that it does not name', () => {
    const { Problem: problem } = document.components.schemas;
    expect(problem.additionalProperties).not.toBe(false);
    const { document: answer } = problemOf(new Error('a bug'), { invocationId: 'some id' });
    // Strict: everything that this app sends is described.
    expect(Object.keys(problem.properties)).toEqual(expect.arrayContaining(Object.keys(answer)));
  });

  test('defines every schema that it refers to', () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)];
    expect(references.length).toBeGreaterThan(10);
    for (const [, name] of references) expect(document.components.schemas).toHaveProperty(name!);
  });

  test('names every operation once, with all its responses', () => {
    const operations = Object.values(document.paths).flatMap((path) => Object.values(path as object));
    const ids = operations.map((operation) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const operation of operations) expect(Object.keys(operation.responses).length).toBeGreaterThan(1);
    expect(Object.keys(document.paths['/metrics/campaign'].post.responses)).toEqual(
      expect.arrayContaining([
        '200',
        '201',
        '202',
        '207',
        '400',
        '405',
        '413',
        '415',
        '422',
        '500',
        '502',
        '503',
      ]),
    );
    const parameters = document.paths['/metrics/campaign'].get.parameters;
    expect(parameters.map((p: { name: string }) => p.name)).toEqual(
      expect.arrayContaining(['limit', 'campaignId', 'since', 'page']),
    );
    expect(parameters[0].schema).toMatchObject({ minimum: 1, maximum: 500, default: 10 });
  });
});

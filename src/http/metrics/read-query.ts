import type { HttpRequest } from '@azure/functions';
import * as z from 'zod';
import { type Fault, pointerStep } from '../../metrics/contract/exact-json.ts';
import { toUtc } from '../../metrics/contract/rfc3339.ts';
import { Problem } from '../problem.ts';

/** An RFC 3339 time, converted to UTC. */
const moment = (description: string) =>
  z
    .string()
    .transform((value, context) => {
      const read = toUtc(value);
      if ('utc' in read) return read.utc;
      context.addIssue({ code: 'custom', message: read.fault });
      return z.NEVER;
    })
    .optional()
    .meta({ description, format: 'date-time' });

const text = (maxLength: number, description: string) =>
  z
    .string()
    .min(1, { error: 'must not be empty' })
    // In UTF-16 units, as in the contract. `max` counts code points.
    .refine((value) => value.length <= maxLength, { error: `must have at most ${maxLength} characters` })
    .optional()
    .meta({ description, maxLength });

/** The query of `GET /api/metrics/campaign`. */
export const listQuery = z.strictObject({
  limit: z
    .string()
    .regex(/^[1-9]\d{0,2}$/, { error: 'must be a whole number from 1 to 500' })
    .refine((value) => Number(value) <= 500, { error: 'must be at most 500' })
    .optional()
    .transform((value) => Number(value ?? 10))
    .meta({
      description: 'Records per page.',
      type: 'integer',
      default: 10,
      minimum: 1,
      maximum: 500,
      pattern: undefined,
    }),
  campaignId: text(64, 'Only records of this campaign.'),
  runId: text(64, 'Only records of this run.'),
  phase: text(16, 'Only records of this phase.'),
  since: moment('Only records created at this moment or later.'),
  until: moment('Only records created before this moment.'),
  page: z
    .string()
    .min(1, { error: 'must not be empty' })
    .max(8_192)
    .optional()
    .meta({ description: 'From `next` of the previous page.' }),
});

/** The query of `GET /api/metrics/campaign/summary`. */
export const summaryQuery = z.strictObject({
  campaignId: text(64, 'Only records of this campaign.'),
  since: moment('Only records created at this moment or later. Default: 30 days ago.'),
  until: moment('Only records created before this moment.'),
});

/** Parameters of the Functions host: the function key and its name. */
const hostParameters = ['code', 'clientId'];

/** Reads the query of a request by a schema. @throws Problem 400 with every fault */
export function readQuery<T extends z.ZodObject>(request: HttpRequest, schema: T): z.output<T> {
  const given: Record<string, unknown> = {};
  const errors: Fault[] = [];
  for (const [name, value] of new URL(request.url).searchParams) {
    if (hostParameters.includes(name)) continue;
    if (Object.hasOwn(given, name))
      errors.push({ path: pointerStep(name), detail: 'is given more than once' });
    Object.defineProperty(given, name, { value, enumerable: true, configurable: true });
  }
  const parsed = schema.safeParse(given);
  for (const issue of parsed.success ? [] : parsed.error.issues) {
    if (issue.code === 'unrecognized_keys') {
      errors.push(
        ...issue.keys.map((key) => ({
          path: pointerStep(key),
          detail: 'is not a parameter of this resource',
        })),
      );
    } else errors.push({ path: issue.path.map(String).map(pointerStep).join(''), detail: issue.message });
  }
  if (parsed.success && errors.length === 0) return parsed.data;
  throw queryProblem(errors);
}

/** 400, with every fault of the query. */
export function queryProblem(errors: Fault[]): Problem {
  return new Problem(400, 'The query is not valid.', { hint: 'Correct the faults in `errors`.', errors });
}

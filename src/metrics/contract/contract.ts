import { z } from 'zod';
import {
  type CampaignMetricsField,
  campaignMetricsFields as fields,
  maxInteger,
} from './campaign-metrics-fields.ts';
import { type Fault, pointerStep, readExactJson } from './exact-json.ts';
import { toUtc } from './rfc3339.ts';

/** How many records one request may hold. */
export const maxRecords = 1_000;

/** More than a full list with every field wrong; a hostile body must not make a far larger answer. */
const maxFaults = 20_000;

export const defaultPhase = '2-3';

// Characters that XML 1.0 has no place for: Dataverse refuses them in text. Also half a surrogate pair,
// which cannot be sent as UTF-8 at all.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const unstorable = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/;

const text = (name: keyof typeof fields) => {
  const field = fields[name] as Extract<CampaignMetricsField, { kind: 'text' }>;
  return z
    .string({ error: 'must be text' })
    .min(1, { error: 'must not be empty' })
    .max(field.maxLength, { error: `must have at most ${field.maxLength} characters` })
    .refine((value) => !unstorable.test(value) && value.isWellFormed(), {
      error: 'holds a character that cannot be stored',
    })
    .meta({ description: field.description });
};

const integer = (name: keyof typeof fields) =>
  z
    .number({ error: 'must be a whole number' })
    .int({ error: 'must be a whole number' })
    .min(0, { error: 'must be at least 0' })
    .max(maxInteger, { error: `must be at most ${maxInteger}` })
    .meta({ description: fields[name].description });

const decimal = (name: keyof typeof fields) => {
  const field = fields[name] as Extract<CampaignMetricsField, { kind: 'decimal' }>;
  return z
    .number({ error: 'must be a number' })
    .min(0, { error: 'must be at least 0' })
    .max(field.max, { error: `must be at most ${field.max}` })
    .refine((value) => Number(value.toFixed(field.places)) === value, {
      error: `must have at most ${field.places} decimal places`,
    })
    .meta({ description: field.description, multipleOf: Number(`1e-${field.places}`) });
};

const time = z
  .string({ error: 'must be text: an RFC 3339 date-time' })
  .superRefine((value, context) => {
    const read = toUtc(value);
    if ('fault' in read) context.addIssue({ code: 'custom', message: read.fault });
  })
  .meta({ description: fields.createdAt.description, format: 'date-time' });

/** One record as it is posted. */
export const campaignMetricsInput = z
  .strictObject(
    {
      campaignId: text('campaignId'),
      runId: text('runId'),
      phase: text('phase').default(defaultPhase),
      agentsTotal: integer('agentsTotal'),
      agentsSuccessful: integer('agentsSuccessful'),
      assetsGenerated: integer('assetsGenerated'),
      tokensIn: integer('tokensIn'),
      tokensOut: integer('tokensOut'),
      latencyP95Ms: integer('latencyP95Ms'),
      latencyAvgMs: integer('latencyAvgMs'),
      costUSD: decimal('costUSD'),
      successRate: decimal('successRate').optional(),
      createdAt: time.optional(),
    },
    { error: 'must be an object' },
  )
  .meta({ title: 'Campaign metrics', description: 'What one phase of a campaign run cost and achieved.' });

/** One record with nothing left open: `createdAt` in UTC, `successRate` filled. */
export interface CampaignMetrics {
  campaignId: string;
  runId: string;
  phase: string;
  agentsTotal: number;
  agentsSuccessful: number;
  assetsGenerated: number;
  tokensIn: number;
  tokensOut: number;
  latencyP95Ms: number;
  latencyAvgMs: number;
  costUSD: number;
  successRate: number;
  createdAt: string;
}

/** A record as callers may write it: three fields have defaults. */
export type CampaignMetricsInput = z.input<typeof campaignMetricsInput>;

/** What a body holds: one record or a list of them, or everything that is wrong with it. */
export type ReadRecords =
  | { records: CampaignMetrics[]; isArray: boolean }
  | { detail: string; faults: Fault[] };

/**
 * Reads a request's body. Nothing is taken from a body with a fault in it: every fault of every item is
 * told, each with its path.
 * @param now what `createdAt` is where a record leaves it out
 */
export function readRecords(body: Uint8Array, now: Date): ReadRecords {
  const json = readExactJson(body);
  if ('fault' in json) return { detail: json.fault, faults: [{ path: '', detail: json.fault }] };
  const isArray = Array.isArray(json.value);
  const items = isArray ? (json.value as unknown[]) : [json.value];
  if (items.length === 0 || items.length > maxRecords) {
    const detail = `The array has ${items.length} records; it must have from 1 to ${maxRecords}.`;
    return { detail, faults: [{ path: '', detail }] };
  }
  const faults = [...json.faults];
  const records: CampaignMetrics[] = [];
  for (const [index, item] of items.entries()) {
    const read = readRecord(item, now);
    if ('record' in read) records.push(read.record);
    else {
      const base = isArray ? pointerStep(index) : '';
      for (const fault of read.faults) faults.push({ path: base + fault.path, detail: fault.detail });
    }
  }
  if (faults.length === 0) return { records, isArray };
  const detail = `The body has ${faults.length === 1 ? '1 fault' : `${faults.length} faults`}.`;
  if (faults.length <= maxFaults) return { detail, faults };
  return { detail: `${detail} The first ${maxFaults} are listed.`, faults: faults.slice(0, maxFaults) };
}

/** Reads one record that has been parsed already. */
export function readRecord(item: unknown, now: Date): { record: CampaignMetrics } | { faults: Fault[] } {
  const parsed = campaignMetricsInput.safeParse(item);
  const faults = parsed.success ? [] : parsed.error.issues.flatMap(faultsOf);
  faults.push(...agentFaults(item));
  if (!parsed.success || faults.length > 0) return { faults };
  const { successRate, createdAt, ...rest } = parsed.data;
  const utc = createdAt === undefined ? { utc: now.toISOString() } : toUtc(createdAt);
  if ('fault' in utc) return { faults: [{ path: '/createdAt', detail: utc.fault }] };
  return {
    record: {
      ...rest,
      successRate: successRate ?? percentOf(rest.agentsSuccessful, rest.agentsTotal),
      createdAt: utc.utc,
    },
  };
}

function faultsOf(issue: z.core.$ZodIssue): Fault[] {
  const path = issue.path.map((step) => pointerStep(String(step))).join('');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: path + pointerStep(key),
      detail: 'is no field of campaign metrics',
    }));
  }
  const missing = issue.code === 'invalid_type' && issue.input === undefined && issue.path.length > 0;
  return [{ path, detail: missing ? 'is missing' : issue.message }];
}

/** Told beside all other faults, which a check on the whole object would wait for. */
function agentFaults(item: unknown): Fault[] {
  const { agentsTotal: total, agentsSuccessful: successful } = (item ?? {}) as Record<string, unknown>;
  const wrong =
    typeof total === 'number' && total >= 0 && typeof successful === 'number' && successful > total;
  return wrong ? [{ path: '/agentsSuccessful', detail: 'must not be more than agentsTotal' }] : [];
}

/** Per cent with two places, from whole numbers so that no rounding error of a division shows. */
export function percentOf(successful: number, total: number): number {
  return total === 0 ? 0 : Math.round((successful * 10_000) / total) / 100;
}

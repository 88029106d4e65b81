import * as z from 'zod';
import { typeFault } from '../../config/type-faults.ts';
import {
  type CampaignMetrics,
  type CampaignMetricsField,
  type CampaignMetricsFieldName,
  type CampaignMetricsInput,
  campaignMetricsFieldNames,
  campaignMetricsFields,
  maxInteger,
} from './campaign-metrics-fields.ts';
import { type Fault, pointerStep, readExactJson } from './exact-json.ts';
import { keyMeaning } from './key-meaning.ts';
import { toUtc } from './rfc3339.ts';

/** Records in one request. */
export const maxRecords = 1_000;
/** More than 1,000 records with every field wrong. Bounds the answer to a hostile body. */
const maxFaults = 20_000;
const defaultPhase = '2-3';

// Dataverse rejects characters that XML 1.0 does not allow; half a surrogate pair cannot be sent as UTF-8.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to find
const unstorable = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/;

const number = (error: string, max: number) =>
  z
    .number({ error })
    .min(0, { error: 'must be at least 0' })
    .max(max, { error: `must be at most ${max}` });

function schemaOf(field: CampaignMetricsField): z.ZodType {
  const { description } = field;
  switch (field.kind) {
    case 'text':
      return (
        z
          .string({ error: 'must be text' })
          .min(1, { error: 'must not be empty' })
          // `max` counts code points. Dataverse counts UTF-16 units.
          .refine((value) => value.length <= field.maxLength, {
            error: `must have at most ${field.maxLength} characters`,
          })
          .refine((value) => value === '' || keyMeaning(value) !== '', { error: 'must not be blank' })
          .refine((value) => !unstorable.test(value) && value.isWellFormed(), {
            error: 'contains a character that cannot be stored',
          })
          .meta({ description, maxLength: field.maxLength })
      );
    case 'integer':
      return number('must be a whole number', maxInteger)
        .int({ error: 'must be a whole number' })
        .meta({ description });
    case 'decimal':
      return number('must be a number', field.max)
        .refine((value) => Number(value.toFixed(field.places)) === value, {
          error: `must have at most ${field.places} decimal places`,
        })
        .meta({ description, multipleOf: Number(`1e-${field.places}`) });
    case 'time':
      return z
        .string({ error: 'must be text: an RFC 3339 date-time' })
        .superRefine((value, context) => {
          const time = toUtc(value);
          if ('fault' in time) context.addIssue({ code: 'custom', message: time.fault });
        })
        .meta({ description, format: 'date-time' });
  }
}

const schemas = Object.fromEntries(
  campaignMetricsFieldNames.map((name) => [name, schemaOf(campaignMetricsFields[name])]),
) as Record<CampaignMetricsFieldName, z.ZodType>;

/** One record as it is posted. */
export const campaignMetricsInput = z
  .strictObject(
    {
      ...schemas,
      phase: schemas.phase.default(defaultPhase),
      successRate: schemas.successRate.optional(),
      createdAt: schemas.createdAt.optional(),
    },
    { error: 'must be an object' },
  )
  .meta({ title: 'Campaign metrics', description: 'What one phase of a campaign run cost and achieved.' });

/** What a body contains: one record or a list of them, or everything that is wrong with it. */
type ReadRecords = { records: CampaignMetrics[]; isArray: boolean } | { detail: string; faults: Fault[] };

/**
 * Reads the body of a request. If it has any fault, no record is accepted and all faults of all records are returned,
 * each with its path.
 * @param now the default of `createdAt`
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
    const read = readRecord(item, now, isArray ? pointerStep(index) : '');
    if (Array.isArray(read)) for (const fault of read) faults.push(fault);
    else records.push(read);
  }
  if (faults.length === 0) return { records, isArray };
  const detail = `The body has ${faults.length === 1 ? '1 fault' : `${faults.length} faults`}.`;
  if (faults.length <= maxFaults) return { detail, faults };
  return { detail: `${detail} The first ${maxFaults} are listed.`, faults: faults.slice(0, maxFaults) };
}

/** Reads one record, or returns its faults. */
function readRecord(item: unknown, now: Date, path: string): CampaignMetrics | Fault[] {
  const parsed = campaignMetricsInput.safeParse(item, { reportInput: true });
  const faults = (parsed.error?.issues ?? []).flatMap((issue) => faultsOf(issue, path));
  // Not a check of the schema, because the schema would report it only once all fields are valid.
  const { agentsTotal: total, agentsSuccessful: successful } = Object(item) as Record<string, unknown>;
  if (typeof total === 'number' && total >= 0 && typeof successful === 'number' && successful > total) {
    faults.push({ path: `${path}/agentsSuccessful`, detail: 'must not be more than agentsTotal' });
  }
  if (!parsed.success || faults.length > 0) return faults;
  const { createdAt, ...record } = parsed.data as CampaignMetricsInput & { phase: string };
  const time = createdAt === undefined ? { utc: now.toISOString() } : toUtc(createdAt);
  const successRate = record.successRate ?? percentOf(record.agentsSuccessful, record.agentsTotal);
  return { ...record, successRate, createdAt: (time as { utc: string }).utc };
}

function faultsOf(issue: z.core.$ZodIssue, base: string): Fault[] {
  const path = base + issue.path.map((step) => pointerStep(String(step))).join('');
  if (issue.code === 'unrecognized_keys') {
    const detail = 'is not a field of campaign metrics';
    return issue.keys.map((key) => ({ path: path + pointerStep(key), detail }));
  }
  return [{ path, detail: typeFault(issue, issue.message) ?? issue.message }];
}

/** Percent with two decimal places, rounded once: from whole numbers. */
export function percentOf(part: number, total: number): number {
  return total === 0 ? 0 : Math.round((part * 10_000) / total) / 100;
}

import { setTimeout as sleep } from 'node:timers/promises';
import type { MetricsSettings } from '../../config/metrics-settings.ts';
import { ConfigurationError } from '../../errors.ts';
import {
  type CampaignMetricsField,
  campaignMetricsFieldNames,
  campaignMetricsFields,
} from '../contract/campaign-metrics-fields.ts';
import { campaignMetricsColumns } from '../table/campaign-metrics-columns.ts';
import {
  columnDefinition,
  columnType,
  keyColumns,
  keyDefinition,
  primaryName,
  tableDefinition,
} from './provision-definitions.ts';
import type { MetadataApi, TableMetadata } from './provision-metadata.ts';

/** One thing to do, with the privilege that it needs. */
export interface ProvisionStep {
  what: string;
  privilege: string;
  run: () => Promise<void>;
}

export interface ProvisionPlan {
  steps: ProvisionStep[];
  /** What is there but different, which nobody but an administrator should change. */
  differences: string[];
}

/** Compares the table in Dataverse with what campaign metrics need. Changes nothing. */
export function planProvision(
  api: MetadataApi,
  settings: MetricsSettings,
  table: TableMetadata | undefined,
): ProvisionPlan {
  const name = settings.table;
  const { column } = campaignMetricsColumns(settings);
  const steps: ProvisionStep[] = [];
  const differences: string[] = [];
  if (table === undefined) {
    const what = `create the table ${name} with the column ${column[primaryName]}`;
    const run = () => api.createTable(tableDefinition(settings));
    steps.push({ what, privilege: 'prvCreateEntity', run });
  } else if (table.entitySet !== settings.entitySet) {
    differences.push(`its entity set is ${table.entitySet}: set METRICS_ENTITY_SET to that`);
  }
  for (const field of campaignMetricsFieldNames) {
    if (table === undefined && field === primaryName) continue;
    const known = table?.columns.get(column[field]);
    if (known !== undefined) {
      const difference = differenceOf(campaignMetricsFields[field], known);
      if (difference !== undefined) differences.push(`the column ${column[field]} ${difference}`);
      continue;
    }
    const what = `create the column ${column[field]} (${columnType(campaignMetricsFields[field])})`;
    const run = () => api.createColumn(name, columnDefinition(settings, field));
    steps.push({ what, privilege: 'prvCreateAttribute', run });
  }
  if (findKey(settings, table) === undefined) {
    const what = `create the alternate key of ${keyColumns(settings).join(', ')}`;
    const run = () => api.createKey(name, keyDefinition(settings));
    steps.push({ what, privilege: 'prvCreateEntityKey', run });
  }
  if (table !== undefined && !table.changeTracking) {
    const run = () => api.enableChangeTracking(name);
    steps.push({ what: 'enable change tracking', privilege: 'prvWriteEntity', run });
  }
  return { steps, differences };
}

/** Where an existing column would refuse, cut or round what the contract allows. */
function differenceOf(
  field: CampaignMetricsField,
  known: { type: string; maxLength?: number; precision?: number },
): string | undefined {
  const type = columnType(field);
  if (known.type !== type) return `is of type ${known.type} instead of ${type}`;
  if (field.kind === 'text' && (known.maxLength ?? field.maxLength) < field.maxLength) {
    return `holds ${known.maxLength} characters instead of ${field.maxLength}`;
  }
  if (field.kind === 'decimal' && (known.precision ?? field.places) < field.places) {
    return `has ${known.precision} decimal places instead of ${field.places}`;
  }
  return undefined;
}

export function findKey(settings: MetricsSettings, table: TableMetadata | undefined) {
  const wanted = keyColumns(settings).sort().join();
  return table?.keys.find((key) => [...key.columns].sort().join() === wanted);
}

/**
 * Waits until the index behind the alternate key is built; Dataverse does that in the background.
 * @returns its status in the end: `Active`, or `Pending` / `InProgress` where it takes longer
 * @throws ConfigurationError where it failed
 */
export async function awaitKey(
  api: MetadataApi,
  settings: MetricsSettings,
  options: { tries?: number; pauseMs?: number } = {},
): Promise<string> {
  const { tries = 30, pauseMs = 2_000 } = options;
  for (let left = tries; ; left -= 1) {
    const status = findKey(settings, await api.readTable(settings.table))?.status ?? 'Pending';
    if (status === 'Failed') {
      throw new ConfigurationError('Dataverse could not build the alternate key.', {
        operation: 'create the alternate key',
        object: settings.table,
        hint: 'Rows with the same campaign, run and phase exist: merge them, delete the failed key and run this again.',
      });
    }
    if (status === 'Active' || left <= 1) return status;
    await sleep(pauseMs);
  }
}

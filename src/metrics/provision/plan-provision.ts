import type { MetricsSettings } from '../../config/metrics-settings.ts';
import type { Row } from '../../dataverse/transport/reply.ts';
import {
  type CampaignMetricsField,
  campaignMetricsFieldNames,
  campaignMetricsFields,
} from '../contract/campaign-metrics-fields.ts';
import { campaignMetricsColumns } from '../table/campaign-metrics-columns.ts';
import { type ColumnMetadata, type MetadataApi, type TableMetadata, tablePath } from './metadata-api.ts';
import {
  columnDefinition,
  columnTypes,
  keyColumns,
  keyDefinition,
  primaryName,
  tableDefinition,
} from './table-definition.ts';

export interface ProvisionPlan {
  steps: { what: string; privilege: string; run: () => Promise<void> }[];
  /** What exists but differs. An administrator has to decide about these. */
  differences: string[];
}

/** Compares the table in Dataverse with the one that campaign metrics need. Changes nothing. */
export function planProvision(
  api: MetadataApi,
  settings: MetricsSettings,
  table: TableMetadata | undefined,
): ProvisionPlan {
  const { column } = campaignMetricsColumns(settings);
  const steps: ProvisionPlan['steps'] = [];
  const differences: string[] = [];
  const create = (what: string, privilege: string, url: string, definition: Row) => {
    const run = () => api.post(`create ${what}`, url, definition);
    steps.push({ what: `create ${what}`, privilege, run });
  };
  if (table === undefined) {
    const what = `the table ${settings.table} with the column ${column[primaryName]}`;
    create(what, 'prvCreateEntity', 'EntityDefinitions', tableDefinition(settings));
  } else if (table.EntitySetName !== settings.entitySet) {
    differences.push(`its entity set is ${table.EntitySetName}: set METRICS_ENTITY_SET to that`);
  }
  const path = tablePath(settings.table);
  for (const name of campaignMetricsFieldNames) {
    if (table === undefined && name === primaryName) continue;
    const field = campaignMetricsFields[name];
    const existing = table?.columns.get(column[name]);
    if (existing === undefined) {
      const what = `the column ${column[name]} (${columnTypes[field.kind]})`;
      create(what, 'prvCreateAttribute', `${path}/Attributes`, columnDefinition(settings, name));
    } else {
      const difference = differenceOf(field, existing);
      if (difference !== undefined) differences.push(`the column ${column[name]} ${difference}`);
    }
  }
  if (findKey(settings, table) === undefined) {
    const what = `the alternate key of ${keyColumns(settings).join(', ')}`;
    create(what, 'prvCreateEntityKey', `${path}/Keys`, keyDefinition(settings));
  }
  if (table !== undefined && !table.ChangeTrackingEnabled) {
    const run = () => api.enableChangeTracking(settings.table);
    steps.push({ what: 'enable change tracking', privilege: 'prvWriteEntity', run });
  }
  return { steps, differences };
}

/** How an existing column would reject, cut or round a valid value; undefined if it would not. */
function differenceOf(field: CampaignMetricsField, column: ColumnMetadata): string | undefined {
  const type = columnTypes[field.kind];
  const { AttributeType, MaxLength = Infinity, Precision = Infinity } = column;
  if (AttributeType !== type) return `is of type ${AttributeType} instead of ${type}`;
  if (field.kind === 'text' && MaxLength < field.maxLength) {
    return `holds ${MaxLength} characters instead of ${field.maxLength}`;
  }
  if (field.kind === 'decimal' && Precision < field.places) {
    return `has ${Precision} decimal places instead of ${field.places}`;
  }
  return undefined;
}

export function findKey(settings: MetricsSettings, table: TableMetadata | undefined) {
  const wanted = keyColumns(settings).sort().join();
  return table?.keys.find((key) => [...key.KeyAttributes].sort().join() === wanted);
}

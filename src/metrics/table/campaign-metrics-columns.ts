import type { MetricsSettings } from '../../config/metrics-settings.ts';
import { stringLiteral } from '../../dataverse/read/query.ts';
import type { Row } from '../../dataverse/transport/reply.ts';
import { exactNumber, type RowValues } from '../../dataverse/write/exact-number.ts';
import { RetriableError } from '../../errors.ts';
import {
  type CampaignMetrics,
  type CampaignMetricsFieldName,
  campaignMetricsFieldNames,
  campaignMetricsFields,
  campaignMetricsKey,
} from '../contract/campaign-metrics-fields.ts';

/** A record and the id of its row in Dataverse. */
export interface MetricsRow {
  id: string;
  record: CampaignMetrics;
}

/** The names of the columns in Dataverse. */
export interface CampaignMetricsColumns {
  /** The primary key. */
  id: string;
  column: Record<CampaignMetricsFieldName, string>;
  /** The id and all columns, for `$select`. */
  all: string[];
}

/** Which records to read. Times are UTC. */
export interface MetricsFilter {
  campaignId?: string;
  runId?: string;
  phase?: string;
  /** Only records from this time on. */
  since?: string;
  /** Only records before this time. */
  until?: string;
}

/** `campaignId` → `apex_campaignid`, with the prefix of the settings. */
export function campaignMetricsColumns(settings: MetricsSettings): CampaignMetricsColumns {
  const entries = campaignMetricsFieldNames.map((name) => [name, settings.prefix + name.toLowerCase()]);
  const column = Object.fromEntries(entries) as CampaignMetricsColumns['column'];
  const id = `${settings.table}id`;
  return { id, column, all: [id, ...Object.values(column)] };
}

/** The values of a row to write, without its id. Decimals are written with all places, never as `1e-5`. */
export function toRowValues(record: CampaignMetrics, { column }: CampaignMetricsColumns): RowValues {
  const entries = campaignMetricsFieldNames.map((name) => {
    const field = campaignMetricsFields[name];
    const value = record[name];
    return [
      column[name],
      field.kind === 'decimal' ? exactNumber(Number(value).toFixed(field.places)) : value,
    ];
  });
  return Object.fromEntries(entries) as RowValues;
}

/**
 * A row from Dataverse as a record. A column that is empty, because another program created the row, is null.
 * @throws RetriableError if it is not a row of the table: Dataverse sends the key with every row
 */
export function toMetricsRow(row: Row, { id, column }: CampaignMetricsColumns): MetricsRow {
  if (typeof row[id] !== 'string') {
    throw new RetriableError('Dataverse answered with something else than a row of campaign metrics.', {
      operation: 'read campaign metrics',
      hint: 'Check proxies and gateways between this app and Dataverse.',
    });
  }
  const entries = campaignMetricsFieldNames.map((name) => [name, row[column[name]] ?? null]);
  return { id: row[id].toLowerCase(), record: Object.fromEntries(entries) as CampaignMetrics };
}

/** An OData filter for `$filter` and `$apply`; undefined for all records. */
export function toODataFilter(filter: MetricsFilter, { column }: CampaignMetricsColumns): string | undefined {
  const parts: string[] = [];
  for (const name of campaignMetricsKey) {
    const value = filter[name];
    if (value !== undefined) parts.push(`${column[name]} eq ${stringLiteral(value)}`);
  }
  if (filter.since !== undefined) parts.push(`${column.createdAt} ge ${filter.since}`);
  if (filter.until !== undefined) parts.push(`${column.createdAt} lt ${filter.until}`);
  return parts.length === 0 ? undefined : parts.join(' and ');
}

import type { MetricsSettings } from '../../config/metrics-settings.ts';
import type { Row } from '../../dataverse/transport/reply.ts';
import { exactNumber, type RowValues } from '../../dataverse/write/exact-number.ts';
import {
  type CampaignMetricsFieldName,
  campaignMetricsFieldNames,
  campaignMetricsFields,
} from '../contract/campaign-metrics-fields.ts';
import type { CampaignMetrics } from '../contract/contract.ts';
import type { MetricsRow } from './metrics-table.ts';

/** How campaign metrics stand in Dataverse: the table's names, and each field's column. */
export interface CampaignMetricsColumns {
  /** The primary id column: the table's name + `id`. */
  id: string;
  column: Record<CampaignMetricsFieldName, string>;
  /** The id and all columns, for `$select`. */
  all: string[];
}

/** `campaignId` → `apex_campaignid`, with the prefix of the settings. */
export function campaignMetricsColumns(settings: MetricsSettings): CampaignMetricsColumns {
  const entries = campaignMetricsFieldNames.map((name) => [name, settings.prefix + name.toLowerCase()]);
  const column = Object.fromEntries(entries) as CampaignMetricsColumns['column'];
  const id = `${settings.table}id`;
  return { id, column, all: [id, ...Object.values(column)] };
}

/** The row's values for a write, without its id. Decimals are written digit by digit, never as `1e-5`. */
export function toRowValues(record: CampaignMetrics, { column }: CampaignMetricsColumns): RowValues {
  return Object.fromEntries(
    campaignMetricsFieldNames.map((name) => {
      const field = campaignMetricsFields[name];
      const value = record[name];
      return [
        column[name],
        field.kind === 'decimal' ? exactNumber((value as number).toFixed(field.places)) : value,
      ];
    }),
  );
}

/**
 * A row as callers see it. A column that holds nothing, because another program made the row, is null.
 * @param sent fills what the answer left out
 */
export function toMetricsRow(row: Row, columns: CampaignMetricsColumns, sent?: MetricsRow): MetricsRow {
  const values = campaignMetricsFieldNames.map((name) => [
    name,
    row[columns.column[name]] ?? sent?.record[name] ?? null,
  ]);
  const id = row[columns.id];
  return {
    id: typeof id === 'string' ? id.toLowerCase() : (sent?.id ?? ''),
    record: Object.fromEntries(values) as CampaignMetrics,
  };
}

/**
 * Sends campaign metrics to an app: `dataverse-sqlite-sync/metrics-client`. It is the code of the package
 * `campaign-metrics-client`.
 * @module
 */

export {
  CampaignMetricsClient,
  type CampaignMetricsClientOptions,
  CampaignMetricsError,
  type CampaignMetricsInput,
  writeCampaignMetrics,
} from '../metrics/client.ts';

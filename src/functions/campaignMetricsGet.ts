import { serve } from '../http/handler.ts';
import { getCampaignMetrics } from '../http/metrics/get-campaign-metrics.ts';
import { metricsServices } from '../metrics-services.ts';
import { registerHttp } from '../register-functions.ts';

/** `GET /api/metrics/campaign/{id}`: one record. The constraint keeps `summary` out. */
registerHttp('campaignMetricsGet', 'metrics/campaign/{id:guid}', (environment) =>
  serve(() => metricsServices(environment), { GET: getCampaignMetrics }),
);

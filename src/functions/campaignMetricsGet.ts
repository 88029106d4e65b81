import { app } from '@azure/functions';
import { serve } from '../http/handler.ts';
import { getCampaignMetrics } from '../http/metrics/get-campaign-metrics.ts';
import { metricsServices } from '../metrics-services.ts';

/** `GET /api/metrics/campaign/{id}`: one record. The constraint keeps `summary` out. */
app.http('campaignMetricsGet', {
  route: 'metrics/campaign/{id:guid}',
  ...serve(metricsServices, { GET: getCampaignMetrics }),
});

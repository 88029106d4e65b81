import { app } from '@azure/functions';
import { serve } from '../http/handler.ts';
import { getSummary } from '../http/metrics/get-campaign-metrics.ts';
import { metricsServices } from '../metrics-services.ts';

/** `GET /api/metrics/campaign/summary`: figures per day and campaign. */
app.http('campaignMetricsSummary', {
  route: 'metrics/campaign/summary',
  ...serve(metricsServices, { GET: getSummary }),
});

import { serve } from '../http/handler.ts';
import { getSummary } from '../http/metrics/get-campaign-metrics.ts';
import { metricsServices } from '../metrics-services.ts';
import { registerHttp } from '../register-functions.ts';

/** `GET /api/metrics/campaign/summary`: figures per day and campaign. */
registerHttp('campaignMetricsSummary', 'metrics/campaign/summary', (environment) =>
  serve(() => metricsServices(environment), { GET: getSummary }),
);

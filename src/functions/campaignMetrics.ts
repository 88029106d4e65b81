import { serve } from '../http/handler.ts';
import { listCampaignMetrics } from '../http/metrics/get-campaign-metrics.ts';
import { postCampaignMetrics } from '../http/metrics/post-campaign-metrics.ts';
import { metricsServices } from '../metrics-services.ts';
import { registerHttp } from '../register-functions.ts';

/** `POST /api/metrics/campaign` writes records, `GET` lists the newest. */
registerHttp('campaignMetrics', 'metrics/campaign', (environment) =>
  serve(() => metricsServices(environment), { GET: listCampaignMetrics, POST: postCampaignMetrics }),
);

import { app } from '@azure/functions';
import { serve } from '../http/handler.ts';
import { listCampaignMetrics } from '../http/metrics/get-campaign-metrics.ts';
import { postCampaignMetrics } from '../http/metrics/post-campaign-metrics.ts';
import { metricsServices } from '../metrics-services.ts';

/** `POST /api/metrics/campaign` writes records, `GET` lists the newest. */
app.http('campaignMetrics', {
  route: 'metrics/campaign',
  ...serve(metricsServices, { GET: listCampaignMetrics, POST: postCampaignMetrics }),
});

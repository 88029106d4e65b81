import { app } from '@azure/functions';
import { allMethods, answerBy } from '../metrics/http/answer.ts';
import { listCampaignMetrics } from '../metrics/http/get-campaign-metrics.ts';
import { postCampaignMetrics } from '../metrics/http/post-campaign-metrics.ts';
import { metricsServices } from '../metrics-services.ts';

/** `POST /api/metrics/campaign` writes records, `GET` lists the newest. */
app.http('campaignMetrics', {
  route: 'metrics/campaign',
  methods: [...allMethods],
  authLevel: 'function',
  handler: answerBy(metricsServices, { GET: listCampaignMetrics, POST: postCampaignMetrics }),
});

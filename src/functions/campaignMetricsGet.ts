import { app } from '@azure/functions';
import { allMethods, answerBy } from '../http/metrics/answer.ts';
import { getCampaignMetrics } from '../http/metrics/get-campaign-metrics.ts';
import { metricsServices } from '../metrics-services.ts';

/** `GET /api/metrics/campaign/{id}`: one record. The constraint keeps `summary` apart. */
app.http('campaignMetricsGet', {
  route: 'metrics/campaign/{id:guid}',
  methods: [...allMethods],
  authLevel: 'function',
  handler: answerBy(metricsServices, { GET: getCampaignMetrics }),
});

import { app } from '@azure/functions';
import { allMethods, answerBy } from '../metrics/http/answer.ts';
import { getCampaignMetrics } from '../metrics/http/get-campaign-metrics.ts';
import { metricsServices } from '../metrics-services.ts';

/** `GET /api/metrics/campaign/{id}`: one record. The constraint keeps `summary` apart. */
app.http('campaignMetricsGet', {
  route: 'metrics/campaign/{id:guid}',
  methods: [...allMethods],
  authLevel: 'function',
  handler: answerBy(metricsServices, { GET: getCampaignMetrics }),
});

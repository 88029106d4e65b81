import { app } from '@azure/functions';
import { allMethods, answerBy } from '../http/metrics/answer.ts';
import { getSummary } from '../http/metrics/get-campaign-metrics.ts';
import { metricsServices } from '../metrics-services.ts';

/** `GET /api/metrics/campaign/summary`: figures per day and campaign. */
app.http('campaignMetricsSummary', {
  route: 'metrics/campaign/summary',
  methods: [...allMethods],
  authLevel: 'function',
  handler: answerBy(metricsServices, { GET: getSummary }),
});

import { app } from '@azure/functions';
import { allMethods, answerBy } from '../metrics/http/answer.ts';
import { getSummary } from '../metrics/http/get-campaign-metrics.ts';
import { metricsServices } from '../metrics-services.ts';

/** `GET /api/metrics/campaign/summary`: figures per day and campaign. */
app.http('campaignMetricsSummary', {
  route: 'metrics/campaign/summary',
  methods: [...allMethods],
  authLevel: 'function',
  handler: answerBy(metricsServices, { GET: getSummary }),
});

import { app } from '@azure/functions';
import { allMethods, answerBy } from '../http/metrics/answer.ts';
import { getStatus } from '../http/metrics/get-status.ts';
import { metricsServices } from '../metrics-services.ts';

/** `GET /api/metrics/campaign/status/{ticket}`: where the Location of a 202 points. */
app.http('campaignMetricsStatus', {
  route: 'metrics/campaign/status/{ticket}',
  methods: [...allMethods],
  authLevel: 'function',
  handler: answerBy(metricsServices, { GET: getStatus }),
});

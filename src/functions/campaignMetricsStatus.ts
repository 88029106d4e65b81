import { app } from '@azure/functions';
import { allMethods, answerBy } from '../metrics/http/answer.ts';
import { getStatus } from '../metrics/http/get-status.ts';
import { metricsServices } from '../metrics-services.ts';

/** `GET /api/metrics/campaign/status/{ticket}`: where the Location of a 202 points. */
app.http('campaignMetricsStatus', {
  route: 'metrics/campaign/status/{ticket}',
  methods: [...allMethods],
  authLevel: 'function',
  handler: answerBy(metricsServices, { GET: getStatus }),
});

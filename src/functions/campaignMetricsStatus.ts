import { app } from '@azure/functions';
import { serve } from '../http/handler.ts';
import { getStatus } from '../http/metrics/get-status.ts';
import { metricsServices } from '../metrics-services.ts';

/** `GET /api/metrics/campaign/status/{ticket}`: the `Location` of a 202. */
app.http('campaignMetricsStatus', {
  route: 'metrics/campaign/status/{ticket}',
  ...serve(metricsServices, { GET: getStatus }),
});

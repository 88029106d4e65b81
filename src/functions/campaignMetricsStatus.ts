import { serve } from '../http/handler.ts';
import { getStatus } from '../http/metrics/get-status.ts';
import { metricsServices } from '../metrics-services.ts';
import { registerHttp } from '../register-functions.ts';

/** `GET /api/metrics/campaign/status/{ticket}`: the `Location` of a 202. */
registerHttp('campaignMetricsStatus', 'metrics/campaign/status/{ticket}', (environment) =>
  serve(() => metricsServices(environment), { GET: getStatus }),
);

import { type MetricsSettings, readMetricsSettings } from '../../src/config/metrics-settings.ts';
import { createCredential } from '../../src/dataverse/credential.ts';
import { TokenSource } from '../../src/dataverse/transport/auth-policy.ts';
import { limiterFor } from '../../src/dataverse/transport/limiter.ts';
import { CampaignMetricsReader } from '../../src/metrics/read/campaign-metrics-reader.ts';
import { DataverseMetricsTable } from '../../src/metrics/table/dataverse-metrics-table.ts';
import { MetricsTransport } from '../../src/metrics/table/metrics-transport.ts';

/** The table of the Dataverse at this address, and its reader. */
export function connectTable(
  url: string,
  changes: Partial<MetricsSettings> = {},
  limits: { maxTimeoutMs?: number } = {},
) {
  const settings = { ...readMetricsSettings({}), ...changes };
  const transport = new MetricsTransport({
    origin: url,
    tokens: new TokenSource(createCredential({ accessToken: 'test' }), url),
    limiter: limiterFor(url, 16),
    retry: { maxTries: 1 },
  });
  return {
    settings,
    transport,
    table: new DataverseMetricsTable(transport, settings, limits),
    reader: new CampaignMetricsReader(transport, settings),
  };
}

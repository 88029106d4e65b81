import { afterEach, expect, test, vi } from 'vitest';
import { Environment } from '../../src/config/environments/environment.ts';
import { metricsServices } from '../../src/metrics-services.ts';

afterEach(() => vi.unstubAllEnvs());

test('invalid settings of the app and of campaign metrics are reported together', () => {
  vi.stubEnv('DATAVERSE_URL', '');
  vi.stubEnv('SYNC_SLICE_MB', 'many');
  vi.stubEnv('METRICS_BULK_SIZE', '0');
  vi.stubEnv('METRICS_TABLE', 'x); drop');
  let message = '';
  try {
    metricsServices(new Environment(undefined, process.env));
  } catch (error) {
    ({ message } = error as Error);
  }
  for (const name of ['DATAVERSE_URL', 'SYNC_SLICE_MB', 'METRICS_BULK_SIZE', 'METRICS_TABLE']) {
    expect(message).toContain(name);
  }
  expect(message).toContain('SYNC_SLICE_MB: must be a number');
});

import { expect, test } from 'vitest';
import { readMetricsSettings } from '../../src/config/metrics-settings.ts';

test('settings that are absent or empty have defaults', () => {
  const defaults = {
    table: 'apex_campaignmetrics',
    entitySet: 'apex_campaignmetricses',
    prefix: 'apex_',
    writeTimeoutMs: 5_000,
    bulkTimeoutMs: 20_000,
    bulkSize: 1_000,
    bulkIntervalMs: 1_000,
    maxBodyBytes: 4 * 1024 * 1024,
  };
  expect(readMetricsSettings({})).toEqual(defaults);
  expect(readMetricsSettings({ METRICS_TABLE: '', METRICS_WRITE_TIMEOUT: ' ' })).toEqual(defaults);
});

test.each([
  ['2', 2_000],
  ['0.5', 500],
  ['2s', 2_000],
  ['500ms', 500],
  ['1m', 60_000],
  ['2000', 2_000],
])('METRICS_WRITE_TIMEOUT=%s is %i ms', (text, expected) => {
  expect(readMetricsSettings({ METRICS_WRITE_TIMEOUT: text }).writeTimeoutMs).toBe(expected);
});

test('the error names every invalid setting', () => {
  const wrong = {
    METRICS_WRITE_TIMEOUT: 'fast',
    METRICS_BULK_SIZE: '0',
    METRICS_TABLE: 'x); drop',
    METRICS_COLUMN_PREFIX: 'apex',
  };
  expect(() => readMetricsSettings(wrong)).toThrow(
    /METRICS_TABLE.*METRICS_COLUMN_PREFIX.*METRICS_WRITE_TIMEOUT: must be from 0.05 to 200.*METRICS_BULK_SIZE/,
  );
});

import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { describe, expect, it } from 'vitest';
import { availableMemory, cacheMegabytesFor } from '../../src/config/available-memory.ts';
import { readMetricsSettings } from '../../src/config/metrics-settings.ts';
import { readTogether } from '../../src/config/parse-settings.ts';
import { queueName } from '../../src/config/queue-names.ts';
import { readSettings } from '../../src/config/settings.ts';
import { intervalOf } from '../../src/config/strategies.ts';
import { ConfigurationError } from '../../src/errors.ts';

const least = {
  DATAVERSE_URL: 'https://contoso.crm.dynamics.com/',
  AzureWebJobsStorage: 'UseDevelopmentStorage=true',
};

describe('queueName', () => {
  it('begins with the prefix of the app', () => {
    expect(queueName('sync-plan', {})).toBe('sync-plan');
    expect(queueName('sync-plan', { SYNC_QUEUE_PREFIX: 'sync' })).toBe('sync-plan');
    expect(queueName('campaign-metrics', { SYNC_QUEUE_PREFIX: ' ' })).toBe('campaign-metrics');
    expect(queueName('sync-plan', { SYNC_QUEUE_PREFIX: 'crm-test' })).toBe('crm-test-plan');
    const longest = queueName('campaign-metrics', { SYNC_QUEUE_PREFIX: 'a'.repeat(37) });
    expect(`${longest}-poison`.length).toBeLessThanOrEqual(63);
  });

  it.each(['A', 'a--b', 'a_b', 'a'.repeat(38)])('of the invalid prefix %s is the default', (prefix) => {
    expect(queueName('sync-plan', { SYNC_QUEUE_PREFIX: prefix })).toBe('sync-plan');
    expect(() => readSettings({ ...least, SYNC_QUEUE_PREFIX: prefix })).toThrow('SYNC_QUEUE_PREFIX: must be');
  });

  it('has an owner: the function app, or else the work container', () => {
    expect(readSettings(least).app).toBe('sync-work');
    expect(readSettings({ ...least, WEBSITE_SITE_NAME: 'contoso-sync' }).app).toBe('contoso-sync');
  });
});

describe('the account of the database', () => {
  const own = (settings: Record<string, string>) => readSettings({ ...least, ...settings }).databaseStorage;

  it('is the account of the functions host by default', () => {
    expect(own({})).toEqual(readSettings(least).storage);
  });

  it('can be another one, by connection string or by name, with an identity of its own or the same', () => {
    const text = 'AccountName=data;AccountKey=a2V5';
    expect(own({ SYNC_DATABASE_STORAGE: text })).toMatchObject({ connectionString: text });
    const named = { SYNC_DATABASE_STORAGE__accountName: 'data', AzureWebJobsStorage__clientId: 'app' };
    const blobServiceUri = 'https://data.blob.core.windows.net';
    expect(own(named)).toMatchObject({ connectionString: undefined, blobServiceUri, clientId: 'app' });
    expect(own({ ...named, SYNC_DATABASE_STORAGE__clientId: 'data' })).toMatchObject({ clientId: 'data' });
    const uri = 'https://data.blob.core.chinacloudapi.cn';
    expect(own({ SYNC_DATABASE_STORAGE__blobServiceUri: uri })).toMatchObject({ blobServiceUri: uri });
    expect(readSettings({ ...least, ...named }).storage.connectionString).toBe(least.AzureWebJobsStorage);
  });

  it.each([
    [{ SYNC_DATABASE_STORAGE: 'secret' }, 'SYNC_DATABASE_STORAGE is not a connection string'],
    [{ AzureWebJobsStorage: 'AccountName=secret' }, 'AzureWebJobsStorage is not a connection string'],
    [{ SYNC_DATABASE_STORAGE__clientId: 'secret' }, 'SYNC_DATABASE_STORAGE__clientId: set'],
    [
      { SYNC_DATABASE_STORAGE__blobServiceUri: 'secret' },
      'SYNC_DATABASE_STORAGE__blobServiceUri is not a URL',
    ],
  ])('%j is refused without a quotation of it', (settings, message) => {
    expect(() => own(settings as Record<string, string>)).toThrow(message);
    expect(() => own(settings as Record<string, string>)).not.toThrow(/secret/);
  });
});

describe('readSettings', () => {
  it('requires an environment URL and a storage account, and has defaults for the rest', () => {
    const settings = readSettings(least, '/app');
    expect(settings.dataverse.url).toBe('https://contoso.crm.dynamics.com');
    expect(settings.entitiesFile).toBe('/app/entities.json');
    expect(settings.containers).toEqual({ work: 'sync-work', database: 'dataverse' });
  });

  it('treats an empty setting as not set', () => {
    expect(readSettings({ ...least, SYNC_SLICE_MB: '' }).sync.sliceBytes).toBe(64 * 1024 * 1024);
  });

  it('names every invalid setting in one error', () => {
    const wrong = { AzureWebJobsStorage: 'x', SYNC_SLICE_SECONDS: 'soon', SYNC_WORK_CONTAINER: 'A' };
    expect(() => readSettings(wrong)).toThrow(ConfigurationError);
    expect(() => readSettings(wrong)).toThrow(
      /DATAVERSE_URL is missing.*SYNC_WORK_CONTAINER.*SYNC_SLICE_SECONDS/,
    );
  });

  it('names faults of every kind in one error', () => {
    const wrong = {
      DATAVERSE_URL: 'http://contoso.crm.dynamics.com',
      SYNC_MASS_DELETE_LIMIT: '2',
      SYNC_DATABASE_NAME: 'state.json',
      SYNC_WORK_CONTAINER: 'dataverse',
      SYNC_CACHE_MB: '0',
    };
    let message = '';
    try {
      readTogether(
        () => readSettings(wrong),
        () => readMetricsSettings({ METRICS_BULK_SIZE: '1.5' }),
      );
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigurationError);
      ({ message } = error as ConfigurationError);
    }
    for (const part of [
      'SYNC_MASS_DELETE_LIMIT:',
      'DATAVERSE_URL must use https://',
      'No storage account',
      'SYNC_DATABASE_NAME: state.json is the name of another blob',
      'SYNC_WORK_CONTAINER and SYNC_DATABASE_CONTAINER must be two containers',
      'SYNC_CACHE_MB: must be auto, or megabytes from 0.001 to 16384',
      'METRICS_BULK_SIZE:',
    ]) {
      expect(message).toContain(part);
    }
  });

  it.each(['state.json', 'schema-report.json', 'schema-report.md', 'files/a.db'])(
    'rejects the reserved name %s for the database',
    (name) => {
      expect(() => readSettings({ ...least, SYNC_DATABASE_NAME: name })).toThrow(
        `SYNC_DATABASE_NAME: ${name}`,
      );
    },
  );

  it('gives the database a share of the memory, or what is set', () => {
    const megabyte = 1024 * 1024;
    expect(readSettings({ ...least, SYNC_CACHE_MB: '700' }).sync.cacheBytes).toBe(700 * megabyte);
    const limits = [512, 2048, 4096, 65_536].map((size) => cacheMegabytesFor(size * megabyte));
    expect(limits).toEqual([64, 512, 1024, 1024]);
    const auto = readSettings(least).sync.cacheBytes;
    expect(auto).toBe(cacheMegabytesFor(availableMemory()) * megabyte);
    expect(availableMemory()).toBeLessThanOrEqual(totalmem());
  });

  it('reads SYNC_RECONCILE_EVERY as a time, or as a number of runs', () => {
    const read = (value?: string) =>
      readSettings({ ...least, SYNC_RECONCILE_EVERY: value }).sync.reconcileEvery;
    expect([read(), read('30m'), read('0s'), read('1'), read('0')]).toEqual(['1h', '30m', '0s', 1, 0]);
    expect(read('10000')).toBe(10_000);
    for (const wrong of ['1.5', '1 week', '-1', 'hourly', '10001']) {
      expect(() => read(wrong)).toThrow(
        'SYNC_RECONCILE_EVERY: must be a time such as 30m, 1h or 1d, or a whole number of runs',
      );
    }
    expect(['90s', '30m', '1.5h', '1d', '0s', 3].map(intervalOf)).toEqual([
      ...[{ seconds: 90 }, { seconds: 1800 }, { seconds: 5400 }, { seconds: 86_400 }, { seconds: 0 }],
      { runs: 3 },
    ]);
  });

  it.each(['DATAVERSE_PAGE_SIZE', 'DATAVERSE_MAX_CONCURRENCY'])('requires a whole number for %s', (name) => {
    expect(() => readSettings({ ...least, [name]: '1.5' })).toThrow(`${name}: must be a whole number`);
  });

  it('names DATAVERSE_URL in the error about its value', () => {
    expect(() => readSettings({ ...least, DATAVERSE_URL: 'contoso' })).toThrow(
      'DATAVERSE_URL is not a valid URL: contoso',
    );
  });

  it('reads the storage account from a connection string or from an account name', () => {
    const { AzureWebJobsStorage: _, ...rest } = least;
    expect(() => readSettings(rest)).toThrow(/No storage account/);
    expect(readSettings({ ...rest, AzureWebJobsStorage__accountName: 'acc' }).storage).toMatchObject({
      blobServiceUri: 'https://acc.blob.core.windows.net',
      queueServiceUri: 'https://acc.queue.core.windows.net',
    });
  });

  it('reads local.settings.json.example, whose credentials are empty, as the defaults', () => {
    const example = JSON.parse(
      readFileSync(new URL('../../local.settings.json.example', import.meta.url), 'utf8'),
    ) as {
      Values: Record<string, string>;
    };
    expect(readSettings(example.Values)).toEqual(readSettings({ ...least }));
  });
});

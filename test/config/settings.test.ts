import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { queueName } from '../../src/config/queue-names.ts';
import { readSettings } from '../../src/config/settings.ts';
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

  it.each(['DATAVERSE_PAGE_SIZE', 'DATAVERSE_MAX_CONCURRENCY', 'SYNC_RECONCILE_EVERY'])(
    'requires a whole number for %s',
    (name) => {
      expect(() => readSettings({ ...least, [name]: '1.5' })).toThrow(`${name}: Invalid input: expected int`);
    },
  );

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

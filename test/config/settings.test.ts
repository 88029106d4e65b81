import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readSettings } from '../../src/config/settings.ts';
import { ConfigurationError } from '../../src/errors.ts';

const least = {
  DATAVERSE_URL: 'https://contoso.crm.dynamics.com/',
  AzureWebJobsStorage: 'UseDevelopmentStorage=true',
};

describe('readSettings', () => {
  it('needs an environment URL and a storage account, and has defaults for the rest', () => {
    const settings = readSettings(least, '/app');
    expect(settings.dataverse.url).toBe('https://contoso.crm.dynamics.com');
    expect(settings.entitiesFile).toBe('/app/entities.json');
    expect(settings.containers).toEqual({ work: 'sync-work', database: 'dataverse' });
  });

  it('takes an empty setting as not set', () => {
    expect(readSettings({ ...least, SYNC_SLICE_MB: '' }).sync.sliceBytes).toBe(64 * 1024 * 1024);
  });

  it('names every wrong setting at once', () => {
    const wrong = { AzureWebJobsStorage: 'x', SYNC_SLICE_SECONDS: 'soon', SYNC_WORK_CONTAINER: 'A' };
    expect(() => readSettings(wrong)).toThrow(ConfigurationError);
    expect(() => readSettings(wrong)).toThrow(
      /DATAVERSE_URL is missing.*SYNC_WORK_CONTAINER.*SYNC_SLICE_SECONDS/,
    );
  });

  it('names DATAVERSE_URL in the error about its value', () => {
    expect(() => readSettings({ ...least, DATAVERSE_URL: 'contoso' })).toThrow(
      'DATAVERSE_URL is not a valid URL: contoso',
    );
  });

  it('takes storage by identity, by addresses or by account name', () => {
    const { AzureWebJobsStorage: _, ...rest } = least;
    expect(() => readSettings(rest)).toThrow(/No storage account/);
    expect(readSettings({ ...rest, AzureWebJobsStorage__accountName: 'acc' }).storage).toMatchObject({
      blobServiceUri: 'https://acc.blob.core.windows.net',
      queueServiceUri: 'https://acc.queue.core.windows.net',
    });
  });

  it('reads local.settings.json.example but for the credentials it leaves empty', () => {
    const example = JSON.parse(
      readFileSync(new URL('../../local.settings.json.example', import.meta.url), 'utf8'),
    ) as {
      Values: Record<string, string>;
    };
    expect(readSettings(example.Values)).toEqual(readSettings({ ...least }));
  });
});

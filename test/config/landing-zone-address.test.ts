import { describe, expect, it } from 'vitest';
import { readSettings } from '../../src/config/settings.ts';
import { landingZoneAddress } from '../../src/config/storage-settings.ts';

const required = {
  DATAVERSE_URL: 'https://contoso.crm.dynamics.com',
  AzureWebJobsStorage: 'UseDevelopmentStorage=true',
};

describe('FABRIC_LANDING_ZONE', () => {
  it.each([
    [
      'https://onelake.dfs.fabric.microsoft.com/5a6b/7c8d/Files/LandingZone',
      'https://onelake.blob.fabric.microsoft.com',
      '5a6b',
      '7c8d/Files/LandingZone',
    ],
    [
      'https://westeurope-onelake.dfs.fabric.microsoft.com/My%20Space/Sales.MountedRelationalDatabase/Files/LandingZone/',
      'https://westeurope-onelake.blob.fabric.microsoft.com',
      'My Space',
      'Sales.MountedRelationalDatabase/Files/LandingZone',
    ],
    ['https://contoso.dfs.core.windows.net/lake', 'https://contoso.blob.core.windows.net', 'lake', ''],
    [
      'https://contoso.blob.core.windows.net/lake/a/b',
      'https://contoso.blob.core.windows.net',
      'lake',
      'a/b',
    ],
    [
      'https://contoso.z01.dfs.storage.azure.net/lake',
      'https://contoso.z01.blob.storage.azure.net',
      'lake',
      '',
    ],
    ['http://127.0.0.1:10000/devstoreaccount1/lake', 'http://127.0.0.1:10000/devstoreaccount1', 'lake', ''],
    ['lake', undefined, 'lake', ''],
    ['lake/a/b', undefined, 'lake', 'a/b'],
  ])('takes %s', (text, blobServiceUri, container, folder) => {
    expect(landingZoneAddress(text)).toEqual({
      ...(blobServiceUri && { blobServiceUri }),
      container,
      folder,
    });
    expect(readSettings({ ...required, FABRIC_LANDING_ZONE: text }).landingZone).toMatchObject({
      container,
      folder,
    });
  });

  it.each([
    ['http://contoso.blob.core.windows.net/lake'],
    ['https://onelake.dfs.fabric.microsoft.com/5a6b/7c8d'],
    ['https://contoso.blob.core.windows.net'],
    ['https://contoso.blob.core.windows.net/lake?sig=secret'],
    ['https://user:secret@contoso.blob.core.windows.net/lake'],
    ['A Lake'],
    ['https://contoso.blob.core.windows.net/%'],
    ['https://app.fabric.microsoft.com/groups/1/mirroreddatabases/2'],
    ['https://contoso.file.core.windows.net/lake'],
    ['https://example.com/lake/a'],
    ['https://contoso.blob.core.windows.net/lake/a%3Fsig=secret'],
    ['https://contoso.blob.core.windows.net/lake/..%2f..%2fother'],
    ['lake/../other'],
  ])('rejects %s, without its text', (text) => {
    const read = () => readSettings({ ...required, FABRIC_LANDING_ZONE: text });
    expect(read).toThrow('FABRIC_LANDING_ZONE: must be the address of a landing zone');
    expect(read).not.toThrow('secret');
  });

  it('is off by default', () => {
    expect(readSettings(required).landingZone).toBeUndefined();
  });
});

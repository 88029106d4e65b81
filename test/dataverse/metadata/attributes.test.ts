import { expect, test } from 'vitest';
import { clientFor, sendError, sendJson, startServer } from '../http-server.ts';

test('reads the attributes of a table, and which change without a new row version, with one request', async () => {
  const ids = '0123456789abcdef';
  const id = (index: number) => `${ids[index]!.repeat(8)}-0000-0000-0000-000000000000`;
  let number = 0;
  const attribute = (LogicalName: string, SourceType?: number | null, IsSecured?: boolean) => ({
    '@odata.type': '#Microsoft.Dynamics.CRM.StringAttributeMetadata',
    LogicalName,
    MetadataId: id(number++),
    ...(SourceType === undefined ? {} : { SourceType }),
    ...(IsSecured === undefined ? {} : { IsSecured }),
  });
  await using server = await startServer((_, response) =>
    sendJson(response, {
      value: [
        attribute('name', 0, false),
        attribute('accountid', null, false),
        attribute('new_age', 1, false),
        attribute('new_total', 2, true),
        attribute('new_display', 3),
        attribute('new_salary', null, true),
        // A version of the service may know other kinds, or not know the properties.
        attribute('new_later', 7, false),
        attribute('new_plain'),
      ],
    }),
  );
  expect(await clientFor(server).readAttributes('account')).toEqual([
    { logicalName: 'name', metadataId: id(0) },
    { logicalName: 'accountid', metadataId: id(1) },
    { logicalName: 'new_age', metadataId: id(2), unversioned: 'calculated' },
    { logicalName: 'new_total', metadataId: id(3), unversioned: 'rollup' },
    { logicalName: 'new_display', metadataId: id(4), unversioned: 'formula' },
    { logicalName: 'new_salary', metadataId: id(5), unversioned: 'secured' },
    { logicalName: 'new_later', metadataId: id(6) },
    { logicalName: 'new_plain', metadataId: id(7) },
  ]);
  expect(server.requests.map(({ url }) => url)).toEqual([
    "/api/data/v9.2/EntityDefinitions(LogicalName='account')/Attributes?$select=LogicalName,MetadataId,SourceType,IsSecured,DisplayName,Description",
  ]);
});

test('names the table whose attributes are refused', async () => {
  await using server = await startServer((_, response) =>
    sendError(response, 403, '0x80040220', 'Principal user is missing prvReadAttribute privilege.'),
  );
  await expect(clientFor(server).readAttributes('account')).rejects.toThrow(/attributes of account/);
});

test('wants the texts in one language, and keeps those alone', async () => {
  const label = (texts: Record<string, string>) => ({
    LocalizedLabels: Object.entries(texts).map(([code, Label]) => ({ Label, LanguageCode: Number(code) })),
    UserLocalizedLabel: { Label: texts['1033'], LanguageCode: 1033 },
  });
  const value = [
    {
      ...{ LogicalName: 'name', MetadataId: 'a', DisplayName: label({ 1033: 'Name', 1030: 'Navn' }) },
      Description: label({ 1033: 'Of the account' }),
    },
  ];
  await using server = await startServer((request, response) => {
    if (request.url!.includes('LabelLanguages=1030'))
      return sendError(response, 400, '', 'Unknown parameter.');
    return sendJson(response, { value });
  });
  const [found] = await clientFor(server).readAttributes('account', { language: 1030 });
  expect(found).toMatchObject({
    displayName: { own: 'Navn', all: [] },
    description: { own: 'Of the account', all: [{ language: 1033 }] },
  });
  await clientFor(server).readAttributes('account', { language: 1033 });
  const [plain] = await clientFor(server).readAttributes('account', { language: 1033, labels: false });
  expect(plain?.logicalName).toBe('name');
  expect(server.requests.map(({ url }) => url.split('IsSecured')[1])).toEqual([
    ',DisplayName,Description&LabelLanguages=1030',
    ',DisplayName,Description',
    ',DisplayName,Description&LabelLanguages=1033',
    '',
  ]);
});

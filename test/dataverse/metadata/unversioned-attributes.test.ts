import { expect, test } from 'vitest';
import { clientFor, sendError, sendJson, startServer } from '../http-server.ts';

test('reads which attributes change without a new row version, with one request', async () => {
  const attribute = (LogicalName: string, SourceType?: number | null, IsSecured?: boolean) => ({
    '@odata.type': '#Microsoft.Dynamics.CRM.StringAttributeMetadata',
    LogicalName,
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
  expect(await clientFor(server).readUnversionedAttributes('account')).toEqual([
    { logicalName: 'new_age', kind: 'calculated' },
    { logicalName: 'new_total', kind: 'rollup' },
    { logicalName: 'new_display', kind: 'formula' },
    { logicalName: 'new_salary', kind: 'secured' },
  ]);
  expect(server.requests.map(({ url }) => url)).toEqual([
    "/api/data/v9.2/EntityDefinitions(LogicalName='account')/Attributes?$select=LogicalName,SourceType,IsSecured",
  ]);
});

test('names the table whose attributes are refused', async () => {
  await using server = await startServer((_, response) =>
    sendError(response, 403, '0x80040220', 'Principal user is missing prvReadAttribute privilege.'),
  );
  await expect(clientFor(server).readUnversionedAttributes('account')).rejects.toThrow(
    /attributes of account/,
  );
});

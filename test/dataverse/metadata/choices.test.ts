import { describe, expect, it } from 'vitest';
import { labelsOf, namedGlobalChoices } from '../../../src/sync/plan/choice-labels.ts';
import { clientFor, sendError, sendJson, startServer } from '../http-server.ts';

const row = (table: string, column: string, value: number, label: string, language = 1033) => ({
  objecttypecode: table,
  attributename: column,
  attributevalue: value,
  value: label,
  langid: language,
});
const rows = [
  row('account', 'statecode', 0, 'Active'),
  row('account', 'statecode', 0, 'Aktiv', 1030),
  row('lead', 'statecode', 0, 'Open'),
];
const label = (...texts: [string, number][]) => ({
  LocalizedLabels: texts.map(([Label, LanguageCode]) => ({ Label, LanguageCode })),
});

describe('readChoices', () => {
  it('reads the labels of the given tables only, in every language', async () => {
    await using server = await startServer((request, response) => {
      expect(decodeURIComponent(request.url!)).toContain(
        `In(PropertyName='objecttypecode',PropertyValues=["account"])`,
      );
      sendJson(response, { value: rows.slice(0, 2) });
    });
    expect(await clientFor(server).readChoices({ tables: ['account'] })).toEqual([
      { table: 'account', column: 'statecode', value: 0, label: 'Active', language: 1033 },
      { table: 'account', column: 'statecode', value: 0, label: 'Aktiv', language: 1030 },
    ]);
    expect(server.requests).toHaveLength(1);
  });

  it('leaves out rows of the string map without a text', async () => {
    await using server = await startServer((_, response) =>
      sendJson(response, { value: [{ ...rows[0], value: null }, { ...rows[1], value: '' }, rows[2]] }),
    );
    expect((await clientFor(server).readChoices()).map(({ table }) => table)).toEqual(['lead']);
  });

  it('reads the whole string map if the service cannot filter it', async () => {
    await using server = await startServer((request, response) => {
      if (request.url!.includes('filter')) sendError(response, 400, '0x80060888', 'no filter');
      else sendJson(response, { value: rows });
    });
    expect(await clientFor(server).readChoices({ tables: ['lead'] })).toEqual([
      { table: 'lead', column: 'statecode', value: 0, label: 'Open', language: 1033 },
    ]);
  });
});

describe('readChoiceMetadata', () => {
  /** A service without batches that supports choices and yes-no columns and rejects the other kinds. */
  const withoutBatches = () =>
    startServer((request, response) => {
      const url = decodeURIComponent(request.url!);
      if (url.includes('$batch')) return sendError(response, 404, '0x8006088a', 'no batch');
      if (url.includes("'secret'")) return sendError(response, 403, '0x80040220', 'no');
      if (url.includes('.PicklistAttributeMetadata')) {
        const options = [{ Value: 5, Label: label(['Five', 1033], ['Fem', 1030]) }];
        return sendJson(response, {
          value: [
            { LogicalName: 'own', OptionSet: { Options: options }, GlobalOptionSet: null },
            { LogicalName: 'shared', OptionSet: null, GlobalOptionSet: { Options: options } },
            { LogicalName: 'empty', OptionSet: { Options: [] } },
          ],
        });
      }
      if (url.includes('.BooleanAttributeMetadata')) {
        const set = {
          FalseOption: { Value: 0, Label: label(['No', 1033]) },
          TrueOption: { Value: 1, Label: label(['Yes', 1033]) },
        };
        return sendJson(response, { value: [{ LogicalName: 'flag', OptionSet: set }] });
      }
      return sendError(response, 400, '0x80060888', 'no such type');
    });

  it('reads local and global choices and yes-no columns, one by one if batches are rejected', async () => {
    await using server = await withoutBatches();
    const found = await clientFor(server).readChoiceMetadata(['account', 'secret']);
    expect(
      labelsOf(found).map(({ column, value, label: text, language }) => [column, value, text, language]),
    ).toEqual([
      ['own', 5, 'Five', 1033],
      ['own', 5, 'Fem', 1030],
      ['shared', 5, 'Five', 1033],
      ['shared', 5, 'Fem', 1030],
      ['flag', 0, 'No', 1033],
      ['flag', 1, 'Yes', 1033],
    ]);
    expect(found.refused.map(({ table }) => table)).toEqual(['secret']);
  });

  it('reads labels from wherever they are: of the user alone, in the shared set, or in a global choice by name', async () => {
    const options = [{ Value: 7, Label: label(['Seven', 1033]) }];
    await using server = await startServer((request, response) => {
      const url = decodeURIComponent(request.url!);
      if (url.includes("GlobalOptionSetDefinitions(Name='new_global')")) {
        return sendJson(response, { Name: 'new_global', Options: options });
      }
      if (url.includes('GlobalOptionSetDefinitions'))
        return sendError(response, 404, '0x80060888', 'no such set');
      if (!url.includes('.PicklistAttributeMetadata')) return sendError(response, 400, '0x80060888', 'no');
      const danish = { LocalizedLabels: [], UserLocalizedLabel: { Label: 'Otte', LanguageCode: 1030 } };
      return sendJson(response, {
        value: [
          { LogicalName: 'user', OptionSet: { Options: [{ Value: 8, Label: danish }] } },
          { LogicalName: 'empty_own', OptionSet: { Options: [] }, GlobalOptionSet: { Options: options } },
          { LogicalName: 'by_name', OptionSet: { Name: 'new_global', IsGlobal: true, Options: [] } },
          { LogicalName: 'gone', GlobalOptionSet: { Name: 'new_gone', IsGlobal: true, Options: null } },
          { LogicalName: 'local', OptionSet: { Name: 'account_local', IsGlobal: false, Options: [] } },
          { LogicalName: 'nameless', OptionSet: { Options: [{ Value: 1, Label: label(['', 1033]) }] } },
        ],
      });
    });
    const client = clientFor(server);
    const found = await client.readChoiceMetadata(['account']);
    const names = namedGlobalChoices(found);
    expect(names).toEqual(['new_global', 'new_gone']);
    const shared = await client.readGlobalChoices(names);
    expect(
      labelsOf(found, shared).map(({ column, value, label: text, language }) => [
        column,
        value,
        text,
        language,
      ]),
    ).toEqual([
      ['user', 8, 'Otte', 1030],
      ['empty_own', 7, 'Seven', 1033],
      ['by_name', 7, 'Seven', 1033],
    ]);
  });

  it('skips the remaining tables if every query of the first ones is rejected', async () => {
    await using server = await startServer((_, response) =>
      sendError(response, 404, '0x8006088a', 'Resource not found for the segment'),
    );
    const tables = ['account', 'contact', 'lead', 'team', 'task'];
    const found = await clientFor(server).readChoiceMetadata(tables);
    expect(found.refused.map(({ table }) => table)).toEqual(tables);
    // One batch, and five kinds of columns of two tables.
    expect(server.requests).toHaveLength(11);
  });

  it('throws a transient fault instead of treating it as a rejection', async () => {
    await using server = await startServer((_, response) => sendError(response, 503, '', 'busy'));
    const client = clientFor(server, { retry: { baseDelaySeconds: 0.001, maxTries: 2 } });
    await expect(client.readChoiceMetadata(['account'])).rejects.toThrow(/batch/);
  });
});

describe('readBaseLanguage', () => {
  it('returns the language of the organisation, or undefined', async () => {
    await using server = await startServer((_, response, number) =>
      sendJson(response, { value: number === 1 ? [{ organizationid: 'x', languagecode: 1030 }] : [] }),
    );
    expect(await clientFor(server).readBaseLanguage()).toBe(1030);
    expect(await clientFor(server).readBaseLanguage()).toBeUndefined();
  });
});

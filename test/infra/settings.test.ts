import { describe, expect, it } from 'vitest';
import { queueName } from '../../src/config/queue-names.ts';
import { plain, read, rows, section } from '../docs/pages.ts';
import { plan, variants } from './infrastructure.ts';
import { settingsOf } from './rules/parts.ts';
import { settingsInCode, settingsOfAzure } from './rules/settings.ts';

/** What is no setting of the app: what Azure sets by itself, the network of a machine, the telemetry library, the command line. */
const elsewhere =
  /^(?:WEBSITE_\w+|(?:IDENTITY|MSI)_ENDPOINT|no_proxy|NO_PROXY|PATH|MIRROR_FUNCTION_KEY|OTEL_\w+|APPLICATION_?INSIGHTS_(?:NO|OPENTELEMETRY)_\w+)$/;
/** In local.settings.json, storage is a connection string; an empty member of the group would hide it from the host. */
const instead = /^(?:AzureWebJobsStorage|SYNC_DATABASE_STORAGE)__/;

const ofAzure = Object.keys(settingsOfAzure);
const isOfApp = (name: string): boolean =>
  /^(?:DATAVERSE|SYNC|METRICS|DASHBOARD|APPLICATIONINSIGHTS|AzureWebJobsStorage)/.test(name) &&
  !elsewhere.test(name) &&
  !ofAzure.includes(name);
const documented = rows(section('docs/configuration.md', 'App settings'));
const names = documented.map(([name]) => plain(name!)).filter(isOfApp);
const inInfra = new Set(variants.flatMap((variant) => Object.keys(settingsOf(plan(variant)))));

describe('the settings that the code reads', () => {
  const inCode = [...settingsInCode()];

  it('are found in the code', () => {
    for (const name of [
      'DATAVERSE_URL',
      'SYNC_SCHEDULE',
      'METRICS_TABLE',
      'APPLICATIONINSIGHTS_CONNECTION_STRING',
    ])
      expect(inCode).toContain(name);
    for (const name of inCode)
      expect(isOfApp(name) || elsewhere.test(name) || ofAzure.includes(name), name).toBe(true);
  });

  it('are documented, and all that are documented are read', () => {
    const ofApp = inCode.filter(isOfApp);
    expect(ofApp.sort()).toEqual([...names].sort());
  });

  it('are set by infra/ where they are required', () => {
    const required = documented.filter(([, usual]) => usual === 'required').map(([name]) => plain(name!));
    expect(required).toEqual(['DATAVERSE_URL', 'SYNC_SCHEDULE']);
    for (const name of required) expect(inInfra).toContain(name);
  });

  it('are in local.settings.json.example', () => {
    const { Values } = JSON.parse(read('local.settings.json.example')) as { Values: Record<string, string> };
    expect(
      Object.keys(Values)
        .filter((name) => isOfApp(name))
        .sort(),
    ).toEqual(names.filter((name) => !instead.test(name)).sort());
  });
});

it('settings of Azure are listed with their source, and used', () => {
  for (const [name, source] of Object.entries(settingsOfAzure)) {
    expect(source).toMatch(/^learn\.microsoft\.com\//);
    expect(inInfra).toContain(name);
  }
});

it('queues begin with the prefix that infra/ leaves as it is, so the app makes them in the host account', () => {
  expect(inInfra).not.toContain('SYNC_QUEUE_PREFIX');
  expect(queueName('sync-plan', {})).toBe('sync-plan');
  const queues = plan(variants[0]!).all('Microsoft.Storage/storageAccounts/queueServices/queues');
  expect(queues).toEqual([]);
});

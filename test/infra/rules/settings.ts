import { globSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { cacheMegabytesFor } from '../../../src/config/available-memory.ts';
import { settingsOf as settingsOfEnvironment } from '../../../src/config/environments/environment-settings.ts';
import { readMetricsSettings } from '../../../src/config/metrics-settings.ts';
import { readSettings } from '../../../src/config/settings.ts';
import { at, environmentsOf, type Planned, type Rule } from '../infrastructure.ts';
import {
  containersOf,
  dataAccountOf,
  functionAppOf,
  given,
  hostAccountOf,
  identityOf,
  isSame,
  readSource,
  settingsOf,
} from './parts.ts';

/** Settings that Azure reads, not the app, each with its source. */
export const settingsOfAzure: Record<string, string> = {
  AzureWebJobsStorage__credential:
    'learn.microsoft.com/azure/azure-functions/functions-reference, identity-based connections',
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING:
    'learn.microsoft.com/azure/azure-functions/functions-app-settings, Entra authentication of Application Insights',
  OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID:
    'learn.microsoft.com/azure/app-service/configure-authentication-provider-aad, managed identity instead of a secret',
};

/** The settings that the deployed code reads: keys of the schemas in src/config, `env['NAME']`, and `%NAME%` of triggers. */
export function settingsInCode(): Set<string> {
  names ??= findSettings();
  return names;
}

let names: Set<string> | undefined;

function findSettings(): Set<string> {
  const root = resolve(import.meta.dirname, '../../..');
  const found = new Set<string>();
  for (const path of globSync('src/**/*.ts', { cwd: root })) {
    if (path.startsWith(join('src', 'local'))) continue;
    const text = readSource(path);
    const isSchema = path.startsWith(join('src', 'config'));
    const patterns = [
      ...(isSchema
        ? [/^ {2}((?:DATAVERSE|SYNC|METRICS|DASHBOARD|AzureWebJobsStorage|WEBSITE)_?\w*):/gm]
        : []),
      /\benv(?:ironment)?\[['"](\w+)['"]\]/g,
      /%([A-Z]\w+)%/g,
    ];
    for (const pattern of patterns) for (const [, name] of text.matchAll(pattern)) found.add(name!);
  }
  return found;
}

export const settingRules: Record<string, Rule> = {
  'every setting is one that the app or Azure reads': (planned) => {
    const known = new Set([...settingsInCode(), ...Object.keys(settingsOfAzure)]);
    return Object.keys(settingsOf(planned))
      .filter((name) => !known.has(name))
      .map((name) => `Nothing reads ${name}`);
  },

  'the settings are complete, and as the deployment needs them': (planned) => {
    const { parameters } = planned.variant;
    const identity = identityOf(planned);
    const clientId = given(identity, 'clientId');
    const usesSecret = parameters['clientSecretApplicationId'] !== undefined;
    const vaultUri = usesSecret ? given(planned.one('Microsoft.KeyVault/vaults'), 'vaultUri') : '';
    const expected: Record<string, unknown> = {
      AzureWebJobsStorage__credential: 'managedidentity',
      AzureWebJobsStorage__clientId: clientId,
      AzureWebJobsStorage__blobServiceUri: given(hostAccountOf(planned), 'primaryEndpoints.blob'),
      AzureWebJobsStorage__queueServiceUri: given(hostAccountOf(planned), 'primaryEndpoints.queue'),
      APPLICATIONINSIGHTS_CONNECTION_STRING: given(
        planned.one('Microsoft.Insights/components'),
        'ConnectionString',
      ),
      APPLICATIONINSIGHTS_AUTHENTICATION_STRING: `ClientId=${clientId};Authorization=AAD`,
      DATAVERSE_URL: parameters['dataverseUrl'],
      SYNC_SCHEDULE: parameters['schedule'] ?? '0 */15 * * * *',
      SYNC_ENTITIES_FILE: 'entities.json',
      SYNC_WORK_CONTAINER: 'sync-work',
      SYNC_DATABASE_CONTAINER: 'dataverse',
      SYNC_DATABASE_NAME: 'dataverse.db',
      SYNC_CACHE_MB: String(cacheMegabytesFor(memoryOf(planned) * 1024 * 1024)),
      SYNC_DATABASE_STORAGE__blobServiceUri: given(dataAccountOf(planned), 'primaryEndpoints.blob'),
      SYNC_DATABASE_STORAGE__clientId: clientId,
      DATAVERSE_CLIENT_ID: usesSecret ? parameters['clientSecretApplicationId'] : clientId,
      ...(parameters['environmentsFile'] !== undefined && {
        SYNC_ENVIRONMENTS_FILE: parameters['environmentsFile'],
      }),
      ...(usesSecret && {
        DATAVERSE_TENANT_ID: parameters['clientSecretTenantId'] ?? '00000000-0000-4000-8000-000000000002',
        DATAVERSE_CLIENT_SECRET: `@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/dataverse-client-secret)`,
      }),
      ...(parameters['signInClientId'] !== undefined && {
        DASHBOARD_AUTH: 'entra',
        OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID: clientId,
      }),
      ...(parameters['extraSettings'] as object | undefined),
    };
    const settings = settingsOf(planned);
    const names = new Set([...Object.keys(expected), ...Object.keys(settings)]);
    return [...names]
      .filter((name) => settings[name] !== expected[name])
      .map((name) => `${name} must be ${expected[name]}, not ${settings[name]}`);
  },

  'the app can read its settings, and finds its containers': (planned) => {
    // What a deployment would fill in.
    const settings = Object.fromEntries(
      Object.entries(settingsOf(planned)).map(([name, value]) => [
        name,
        value.replace(/«.*»/, 'https://x.example/'),
      ]),
    );
    const { queuePrefix, sync } = readSettings(settings);
    readMetricsSettings(settings);
    const own = { DATAVERSE_URL: 'https://other.crm.dynamics.com' };
    const each = [
      settings,
      ...environmentsOf(planned.variant).map((name) => settingsOfEnvironment({ name, own }, settings)),
    ].map((one) => readSettings(one).containers);
    const megabytes = sync.cacheBytes / 1024 / 1024;
    const { SYNC_CACHE_MB: chosen } = (planned.variant.parameters['extraSettings'] ?? {}) as Record<
      string,
      string
    >;
    const wanted = chosen === undefined ? cacheMegabytesFor(memoryOf(planned) * 1024 * 1024) : Number(chosen);
    return [
      ...each.flatMap(({ work, database }) => [
        ...(containersOf(planned, hostAccountOf(planned)).includes(work) ? [] : [`No container ${work}`]),
        ...(containersOf(planned, dataAccountOf(planned)).includes(database)
          ? []
          : [`No container ${database}`]),
      ]),
      ...(queuePrefix === 'sync' ? [] : [`The queues begin with ${queuePrefix}`]),
      ...(megabytes === wanted ? [] : [`The memory for the database is ${megabytes} MB`]),
    ];
  },

  'the outputs are what the hooks work with': (planned) => {
    const { parameters } = planned.variant;
    const usesSecret = parameters['clientSecretApplicationId'] !== undefined;
    const app = functionAppOf(planned);
    const blobs = given(dataAccountOf(planned), 'primaryEndpoints.blob');
    const expected = {
      AZURE_RESOURCE_GROUP: planned.one('Microsoft.Resources/resourceGroups').names[0],
      AZURE_FUNCTION_APP_NAME: app.names[0],
      AZURE_FUNCTION_APP_URL: `https://${given(app, 'defaultHostName')}`,
      AZURE_KEY_VAULT_NAME: usesSecret ? planned.one('Microsoft.KeyVault/vaults').names[0] : '',
      DATAVERSE_URL: parameters['dataverseUrl'],
      DATAVERSE_APPLICATION_ID: settingsOf(planned)['DATAVERSE_CLIENT_ID'],
      SYNC_DATABASE_URL: `${blobs}dataverse/dataverse.db`,
    };
    return isSame(planned.outputs, expected) ? [] : [`They must be ${JSON.stringify(expected)}`];
  },
};

const memoryOf = (planned: Planned): number =>
  Number(at(functionAppOf(planned), 'properties.functionAppConfig.scaleAndConcurrency.instanceMemoryMB'));

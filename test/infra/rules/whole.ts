import { tenantId } from '../bicep/functions.ts';
import type { DeployedResource } from '../bicep/references.ts';
import { isObject, type Value } from '../bicep/values.ts';
import type { Planned, Rule } from '../infrastructure.ts';
import { allowedProperties } from './closed.ts';
import { dataAccountOf, given, hostAccountOf, identityOf } from './parts.ts';

type Body = Record<string, Value>;

/** All that a resource sends to Azure, by its module and symbol. Nothing else may be in it. */
const bodies: Record<string, (planned: Planned, has: Body) => Body> = {
  'identity.identity': () => ({}),

  'monitoring.workspace': (_, { logRetentionDays = 30 }) => ({
    properties: {
      sku: { name: 'PerGB2018' },
      retentionInDays: logRetentionDays,
      features: { disableLocalAuth: true, enableLogAccessUsingOnlyResourcePermissions: true },
    },
  }),

  // Without sampling: a rule that counts events would miss some.
  'monitoring.insights': (planned) => ({
    kind: 'web',
    properties: {
      Application_Type: 'web',
      DisableLocalAuth: true,
      WorkspaceResourceId: planned.one('Microsoft.OperationalInsights/workspaces').id,
    },
  }),

  'monitoring.actionGroup': (_, { alertEmail }) => ({
    location: 'global',
    properties: {
      groupShortName: 'dvsync',
      enabled: true,
      emailReceivers: [{ name: 'email', emailAddress: alertEmail, useCommonAlertSchema: true }],
    },
  }),

  'alerts.accountAlerts.0': (planned, has) => accountAlert(planned, has, hostAccountOf(planned)),
  'alerts.accountAlerts.1': (planned, has) => accountAlert(planned, has, dataAccountOf(planned)),

  'hostStorage.account': (_, has) => account(has, 'Standard_LRS'),
  'dataStorage.account': (_, has) => account(has, has['databaseRedundancy'] ?? 'Standard_LRS'),

  'hostStorage.blobs': () => ({
    properties: {
      isVersioningEnabled: false,
      deleteRetentionPolicy: { enabled: false },
      containerDeleteRetentionPolicy: { enabled: false },
    },
  }),
  'dataStorage.blobs': (_, { databaseRetentionDays: days = 14 }) => ({
    properties: {
      isVersioningEnabled: true,
      deleteRetentionPolicy: { enabled: true, days },
      containerDeleteRetentionPolicy: { enabled: true, days },
    },
  }),

  'hostStorage.work': () => ({ properties: { publicAccess: 'None' } }),
  'hostStorage.package': () => ({ properties: { publicAccess: 'None' } }),
  'dataStorage.databases': (_, { databaseImmutabilityDays }) => ({
    properties: {
      publicAccess: 'None',
      immutableStorageWithVersioning: databaseImmutabilityDays === undefined ? null : { enabled: true },
    },
  }),

  'keyVault.vault': (_, has) => ({
    properties: {
      tenantId,
      sku: { family: 'A', name: 'standard' },
      enableRbacAuthorization: true,
      enableSoftDelete: true,
      softDeleteRetentionInDays: 7,
      enablePurgeProtection: true,
      ...openTo(has, 'None'),
    },
  }),

  'app.plan': () => ({
    kind: 'functionapp',
    sku: { name: 'FC1', tier: 'FlexConsumption' },
    properties: { reserved: true },
  }),

  'app.app': (planned, has) => {
    const { id } = identityOf(planned);
    const [network] = planned.all('Microsoft.Network/virtualNetworks');
    return {
      kind: 'functionapp,linux',
      tags: { 'azd-env-name': has['environmentName'], 'azd-service-name': 'app' },
      identity: { type: 'UserAssigned', userAssignedIdentities: { [id]: {} } },
      properties: {
        serverFarmId: planned.one('Microsoft.Web/serverfarms').id,
        httpsOnly: true,
        publicNetworkAccess: 'Enabled',
        keyVaultReferenceIdentity: id,
        virtualNetworkSubnetId: network === undefined ? null : `${network.id}/subnets/app`,
        siteConfig: {
          minTlsVersion: '1.2',
          scmMinTlsVersion: '1.2',
        },
        functionAppConfig: {
          runtime: { name: 'node', version: '24' },
          deployment: {
            storage: {
              type: 'blobContainer',
              value: `${given(hostAccountOf(planned), 'primaryEndpoints.blob')}app-package`,
              authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: id },
            },
          },
          scaleAndConcurrency: {
            instanceMemoryMB: has['instanceMemoryMB'] ?? 2048,
            maximumInstanceCount: has['maximumInstanceCount'] ?? 40,
            alwaysReady:
              has['alwaysReadyInstances'] === undefined
                ? []
                : [{ name: 'http', instanceCount: has['alwaysReadyInstances'] }],
            triggers: { http: { perInstanceConcurrency: 16 } },
          },
        },
      },
    };
  },
};

/** Who reaches a resource over the public network: nobody in a private deployment, else who has a token. */
function openTo({ privateNetwork: isPrivate }: Body, bypass: string): Body {
  return {
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled',
    networkAcls: { bypass, defaultAction: isPrivate ? 'Deny' : 'Allow' },
  };
}

const account = (has: Body, sku: Value): Body => ({
  kind: 'StorageV2',
  sku: { name: sku },
  properties: {
    accessTier: 'Hot',
    allowBlobPublicAccess: false,
    allowCrossTenantReplication: false,
    allowSharedKeyAccess: false,
    defaultToOAuthAuthentication: true,
    minimumTlsVersion: 'TLS1_2',
    supportsHttpsTrafficOnly: true,
    ...openTo(has, 'AzureServices'),
  },
});

const accountAlert = (planned: Planned, { runbookUrl }: Body, { id }: DeployedResource): Body => ({
  location: 'global',
  properties: {
    description: `A storage account is not available. What to do: ${runbookUrl ?? 'docs/runbook.md'}#account-unavailable`,
    severity: 1,
    enabled: true,
    scopes: [id],
    evaluationFrequency: 'PT5M',
    windowSize: 'PT15M',
    autoMitigate: true,
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria',
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion',
          name: 'availability',
          metricName: 'Availability',
          metricNamespace: 'Microsoft.Storage/storageAccounts',
          timeAggregation: 'Average',
          operator: 'LessThan',
          threshold: 99,
        },
      ],
    },
    actions: planned
      .all('Microsoft.Insights/actionGroups')
      .map(({ id: actionGroupId }) => ({ actionGroupId })),
  },
});

/** The resources that a `for` makes are told apart by their number. */
function keysOf(planned: Planned): [key: string, resource: DeployedResource][] {
  const numbers = new Map<string, number>();
  return planned.resources
    .filter(({ isExisting }) => !isExisting)
    .map((resource) => {
      const key = `${resource.module}.${resource.symbol}`;
      const number = numbers.get(key) ?? 0;
      numbers.set(key, number + 1);
      return [key in bodies ? key : `${key}.${number}`, resource];
    });
}

export const wholeRules: Record<string, Rule> = {
  'identity, monitoring, storage, vault and app are as they must be, without any other property': (
    planned,
  ) => {
    const has = planned.variant.parameters;
    return keysOf(planned).flatMap(([key, resource]) => {
      const body = bodies[key];
      if (body === undefined)
        return resource.type in allowedProperties ? [] : [`${key}: no rule knows its properties`];
      const usual = 'location' in resource.body ? common(has) : {};
      return differences({ ...usual, ...body(planned, has) }, resource.body, '').map(
        (one) => `${key}: ${one}`,
      );
    });
  },
};

const common = ({ environmentName, location }: Body): Body => ({
  location,
  tags: { 'azd-env-name': environmentName },
});

/** Where two values differ, property by property. Bicep leaves out a property that is null. */
function differences(expected: Value, found: Value, path: string): string[] {
  const inside = (name: string) => (path === '' ? name : `${path}.${name}`);
  if (isObject(expected) && isObject(found)) {
    const names = new Set([...Object.keys(expected), ...Object.keys(found)]);
    return [...names].flatMap((name) => differences(expected[name], found[name], inside(name)));
  }
  if (JSON.stringify(expected ?? null) === JSON.stringify(found ?? null)) return [];
  return [`${path} must be ${JSON.stringify(expected)}, not ${JSON.stringify(found)}`];
}

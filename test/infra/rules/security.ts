import { walk } from '../bicep/check-file.ts';
import { tenantId } from '../bicep/functions.ts';
import { at, expectProperties, type Planned, type Rule } from '../infrastructure.ts';
import { functionAppOf, identityOf } from './parts.ts';

/** What every deployment keeps closed, whatever its parameters. */
export const securityRules: Record<string, Rule> = {
  'storage accounts take tokens over TLS only, and nothing is public': (planned) =>
    planned.all('Microsoft.Storage/storageAccounts').flatMap((account) =>
      expectProperties(account, {
        kind: 'StorageV2',
        'properties.allowSharedKeyAccess': false,
        'properties.allowBlobPublicAccess': false,
        'properties.allowCrossTenantReplication': false,
        'properties.defaultToOAuthAuthentication': true,
        'properties.minimumTlsVersion': 'TLS1_2',
        'properties.supportsHttpsTrafficOnly': true,
        'properties.isLocalUserEnabled': undefined,
        'properties.isSftpEnabled': undefined,
        'properties.networkAcls.ipRules': undefined,
        'properties.networkAcls.virtualNetworkRules': undefined,
        'properties.networkAcls.resourceAccessRules': undefined,
      }),
    ),

  'no container is public': (planned) =>
    planned
      .all('Microsoft.Storage/storageAccounts/blobServices/containers')
      .flatMap((container) => expectProperties(container, { 'properties.publicAccess': 'None' })),

  'the app takes https with TLS 1.2, without FTP and publishing passwords': (planned) => {
    const app = functionAppOf(planned);
    const policies = planned.all('Microsoft.Web/sites/basicPublishingCredentialsPolicies');
    const closed = policies
      .filter((policy) => at(policy, 'properties.allow') === false && policy.names[0] === app.names[0])
      .map(({ names }) => names[1]);
    return [
      ...expectProperties(app, {
        kind: 'functionapp,linux',
        'properties.httpsOnly': true,
        'properties.siteConfig.minTlsVersion': '1.2',
        'properties.siteConfig.scmMinTlsVersion': '1.2',
        'properties.siteConfig.ftpsState': 'Disabled',
        'properties.siteConfig.http20Enabled': true,
        'properties.siteConfig.cors': undefined,
        'properties.siteConfig.remoteDebuggingEnabled': undefined,
        'properties.siteConfig.appSettings': undefined,
      }),
      ...['ftp', 'scm'].filter((one) => !closed.includes(one)).map((one) => `${one} takes passwords`),
    ];
  },

  'the app runs as its user-assigned identity, also for its package and secrets': (planned) => {
    const identity = identityOf(planned);
    return expectProperties(functionAppOf(planned), {
      identity: { type: 'UserAssigned', userAssignedIdentities: { [identity.id]: {} } },
      'properties.keyVaultReferenceIdentity': identity.id,
      'properties.functionAppConfig.deployment.storage.authentication': {
        type: 'UserAssignedIdentity',
        userAssignedIdentityResourceId: identity.id,
      },
    });
  },

  'a key vault is there for a client secret only, with roles, and cannot be purged': (planned) => {
    const vaults = planned.all('Microsoft.KeyVault/vaults');
    const isWanted = planned.variant.parameters['clientSecretApplicationId'] !== undefined;
    if (vaults.length !== Number(isWanted)) return [`There are ${vaults.length} vaults`];
    return vaults.flatMap((vault) =>
      expectProperties(vault, {
        'properties.enableRbacAuthorization': true,
        'properties.enableSoftDelete': true,
        'properties.softDeleteRetentionInDays': 7,
        'properties.tenantId': tenantId,
        'properties.sku': { family: 'A', name: 'standard' },
        'properties.enablePurgeProtection': true,
        'properties.accessPolicies': undefined,
        'properties.networkAcls.bypass': 'None',
        'properties.networkAcls.ipRules': undefined,
      }),
    );
  },

  'pages ask for a sign-in if one is configured, and programs with a key pass': (planned) => {
    const signIns = planned
      .all('Microsoft.Web/sites/config')
      .filter(({ names }) => names[1] === 'authsettingsV2');
    const clientId = planned.variant.parameters['signInClientId'];
    if (signIns.length !== Number(clientId !== undefined)) return [`There are ${signIns.length} sign-ins`];
    return signIns.flatMap((signIn) =>
      expectProperties(signIn, {
        'properties.platform.enabled': true,
        'properties.globalValidation': {
          requireAuthentication: true,
          unauthenticatedClientAction: 'RedirectToLoginPage',
          redirectToProvider: 'azureactivedirectory',
          // test/infra/sign-in.test.ts compares them with the routes.
          excludedPaths: ['/api/metrics/*', '/api/openapi.json', '/api/health', '/api/check'],
        },
        'properties.httpSettings.requireHttps': true,
        'properties.login.tokenStore.enabled': false,
        'properties.identityProviders.azureActiveDirectory.enabled': true,
        'properties.identityProviders.azureActiveDirectory.registration.clientId': clientId,
        'properties.identityProviders.azureActiveDirectory.registration.openIdIssuer': `https://login.microsoftonline.com/${tenantId}/v2.0`,
        // A setting that says which identity signs in instead of a secret.
        'properties.identityProviders.azureActiveDirectory.registration.clientSecretSettingName':
          'OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID',
        'properties.identityProviders.azureActiveDirectory.validation.allowedAudiences': [
          clientId,
          `api://${clientId}`,
        ],
      }),
    );
  },

  'no template handles a secret': (planned) => secretsIn(planned),
};

/** Secrets in texts, secure parameters, and functions that read keys. */
function secretsIn({ resources, files }: Planned): string[] {
  const found: string[] = [];
  for (const { symbol, body } of resources) {
    const text = JSON.stringify(body);
    if (/AccountKey=|SharedAccessSignature|[?&]sig=|"clientSecret"|"adminPassword"/i.test(text))
      found.push(`${symbol} contains a secret`);
  }
  for (const [path, file] of files) {
    for (const declaration of file.declarations) {
      if (declaration.decorators.some(({ name }) => name === 'secure'))
        found.push(`${path}: ${declaration.name} is a secret`);
      if (!('value' in declaration) || declaration.value === undefined) continue;
      walk(declaration.value, new Set(), (inner) => {
        if (inner.kind === 'call' && /^list|^getSecret$|^deployer$/.test(inner.name))
          found.push(`${path}: ${declaration.name} calls ${inner.name}`);
      });
    }
  }
  return found;
}

import { tenantId } from '../bicep/functions.ts';
import { at, expectProperties, type Rule } from '../infrastructure.ts';
import { functionAppOf } from './parts.ts';

/** What every deployment keeps closed, whatever its parameters. */
export const securityRules: Record<string, Rule> = {
  'the app takes no publishing passwords': (planned) => {
    const app = functionAppOf(planned);
    const closed = planned
      .all('Microsoft.Web/sites/basicPublishingCredentialsPolicies')
      .filter((policy) => at(policy, 'properties.allow') === false && policy.names[0] === app.names[0])
      .map(({ names }) => names[1]);
    return ['ftp', 'scm'].filter((one) => !closed.includes(one)).map((one) => `${one} takes passwords`);
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
          // The app asks for the sign-in itself, with DASHBOARD_AUTH; test/functions/sign-in.test.ts tries each route.
          requireAuthentication: false,
          unauthenticatedClientAction: 'AllowAnonymous',
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
};

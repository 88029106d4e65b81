// Runs after `azd provision`: lets the app into Dataverse, or says how. Run it again with `azd hooks run postprovision`.
import { ensureApplicationUser, openDataverse } from './parts/dataverse.mjs';
import { az, Problem, runHook, say, value } from './parts/tools.mjs';

const defaultRole = 'dataverse-sqlite-sync';

await runHook(async () => {
  const url = new URL(value('DATAVERSE_URL')).origin;
  const applicationId = value('DATAVERSE_APPLICATION_ID');
  const roleName = process.env['SYNC_DATAVERSE_ROLE']?.trim() || defaultRole;
  say('', `The app signs in to ${url} with the client id ${applicationId}.`);
  await nameTheSecret();
  try {
    const dataverse = await openDataverse(url);
    const { isNew, hasRole } = await ensureApplicationUser(dataverse, { applicationId, roleName });
    say(isNew ? 'Its application user was created.' : 'Its application user exists.');
    if (hasRole) say(`It has the security role ${roleName}.`);
    else sayHowToGiveRole(url, roleName);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    // The resources are there, and the deployment goes on: someone else may have to do this part.
    say(`The application user could not be set up: ${error.message}`, '');
    sayHowToCreateUser(url, applicationId, roleName);
  }
});

/** Says how to store the client secret where the app signs in with one. */
async function nameTheSecret() {
  const vault = process.env['AZURE_KEY_VAULT_NAME']?.trim();
  if (!vault) return;
  const names = await az('keyvault', 'secret', 'list', '--vault-name', vault, '--query', '[].name').catch(
    () => '',
  );
  if (names.split('\n').includes('dataverse-client-secret')) return;
  say(
    `Store its client secret in the key vault ${vault}; you need the role Key Vault Secrets Officer there:`,
    `  az keyvault secret set --vault-name ${vault} --name dataverse-client-secret --file SECRET.txt`,
  );
}

function sayHowToCreateUser(url, applicationId, roleName) {
  say(
    'Ask a system administrator of the environment to do this once:',
    '  1. Open https://admin.powerplatform.microsoft.com and choose Environments.',
    `  2. Choose ${new URL(url).host}, then Settings, Users + permissions, Application users.`,
    `  3. Choose New app user, Add an app, and search for ${applicationId}.`,
    '  4. Choose the root business unit.',
    `  5. Give it the security role ${roleName}; docs/configuration.md, "Permissions", lists its privileges.`,
    'Then run `azd hooks run postdeploy`, which checks it.',
  );
}

function sayHowToGiveRole(url, roleName) {
  say(
    `There is no security role ${roleName} in the root business unit of ${url}.`,
    '  1. Create it; docs/configuration.md, "Permissions", lists its privileges.',
    '  2. Run `azd hooks run postprovision`, which assigns it.',
    'For a role of another name, run `azd env set SYNC_DATAVERSE_ROLE NAME` first.',
  );
}

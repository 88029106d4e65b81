// Runs after `azd provision`: lets the app into Dataverse, or says how. Run it again with `azd hooks run postprovision`.
import { dataverseToken, ensureApplicationUser } from './parts/dataverse.mjs';
import { giveRole, roleCommand } from './parts/role.mjs';
import { az, environmentAddress, Problem, runHook, say, value } from './parts/tools.mjs';

await runHook(async () => {
  const url = environmentAddress(value('DATAVERSE_URL'));
  const applicationId = value('DATAVERSE_APPLICATION_ID');
  say('', `The app signs in to ${url} with the client id ${applicationId}.`);
  await nameTheSecret();
  let step = 'application user';
  try {
    const token = await dataverseToken(url);
    const isNew = await ensureApplicationUser({ url, token, applicationId });
    say(isNew ? 'Its application user was created.' : 'Its application user exists.');
    step = 'security role';
    say(await giveRole({ url, token, applicationId }));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    // The resources are there, and the deployment goes on: someone else may have to do this part.
    say(`The ${step} could not be set up: ${error.message}`, error.remedy, '');
    sayHow(url, applicationId, step === 'security role');
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

function sayHow(url, applicationId, hasUser) {
  const user = [
    'Open https://admin.powerplatform.microsoft.com and choose Environments.',
    `Choose ${new URL(url).host}, then Settings, Users + permissions, Application users.`,
    `Choose New app user, Add an app, and search for ${applicationId}.`,
    'Choose the root business unit, and save without a security role.',
  ];
  const steps = [
    ...(hasUser ? [] : user),
    `In a checkout of this project, after \`npm ci\` and \`az login\`, run\n     ${roleCommand(url, applicationId)}`,
    'Run `azd hooks run postdeploy`, which checks it.',
  ];
  say(
    'Ask a system administrator of the environment to do this once:',
    ...steps.map((one, i) => `  ${i + 1}. ${one}`),
  );
}

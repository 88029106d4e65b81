// Runs after `azd provision`: lets the app into each Dataverse environment, or says how. Run it again with
// `azd hooks run postprovision`.
import { dataverseToken, ensureApplicationUser } from './parts/dataverse.mjs';
import { readEnvironments, settingOf } from './parts/environments.mjs';
import { deployedSettings, giveRole, roleCommand } from './parts/role.mjs';
import { az, environmentAddress, Problem, runHook, say, value } from './parts/tools.mjs';

await runHook(async () => {
  const url = environmentAddress(value('DATAVERSE_URL'));
  const applicationId = value('DATAVERSE_APPLICATION_ID');
  const settings = deployedSettings();
  say('', `The app signs in to ${url} with the client id ${applicationId}.`);
  await nameTheSecret();
  await letIn({ url, applicationId, settings });
  for (const [name, own] of readEnvironments()) {
    try {
      const further = ofEnvironment(own, applicationId, settings);
      say(
        '',
        `For the environment ${name}, it signs in to ${further.url} with the client id ${further.applicationId}.`,
      );
      await letIn(further);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      say('', `The environment ${name} could not be set up: ${error.message}`, error.remedy);
    }
  }
});

/** What letIn needs to know of a further environment. @throws Problem if the file does not say it */
function ofEnvironment(own, applicationId, settings) {
  const of = (setting) => settingOf(own, setting, settings);
  const unknown = ['DATAVERSE_URL', 'DATAVERSE_CLIENT_ID'].find(
    (setting) => setting in own && of(setting) === undefined,
  );
  if (unknown !== undefined) {
    throw new Problem(
      `its ${unknown} is an app setting that SYNC_EXTRA_SETTINGS does not hold.`,
      'Set it there, or write the value into the file; then run `azd hooks run postprovision`.',
    );
  }
  const tables = of('SYNC_ENTITIES_FILE');
  const metrics = of('METRICS_TABLE');
  return {
    url: environmentAddress(of('DATAVERSE_URL') ?? '', 'Correct it, then run `azd up`.'),
    applicationId: of('DATAVERSE_CLIENT_ID') || applicationId,
    settings: {
      ...settings,
      ...(tables === undefined ? {} : { SYNC_ENTITIES_FILE: tables || 'entities.json' }),
      ...(metrics === undefined ? {} : { METRICS_TABLE: metrics }),
    },
  };
}

/** Makes the application user and its role. Where somebody else has to do that, says how. */
async function letIn({ url, applicationId, settings }) {
  let step = 'application user';
  try {
    const token = await dataverseToken(url);
    const isNew = await ensureApplicationUser({ url, token, applicationId });
    say(isNew ? 'Its application user was created.' : 'Its application user exists.');
    step = 'security role';
    say(await giveRole({ url, token, applicationId, settings }));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    // The resources are there, and the deployment goes on: someone else may have to do this part.
    say(`The ${step} could not be set up: ${error.message}`, error.remedy, '');
    sayHow({ url, applicationId, settings }, step === 'security role');
  }
}

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

function sayHow({ url, applicationId, settings }, hasUser) {
  const user = [
    'Open https://admin.powerplatform.microsoft.com and choose Environments.',
    `Choose ${new URL(url).host}, then Settings, Users + permissions, Application users.`,
    `Choose New app user, Add an app, and search for ${applicationId}.`,
    'Choose the root business unit, and save without a security role.',
  ];
  const steps = [
    ...(hasUser ? [] : user),
    `In a checkout of this project, after \`npm ci\` and \`az login\`, run\n     ${roleCommand({ url, applicationId, settings })}`,
    'Run `azd hooks run postdeploy`, which checks it.',
  ];
  say(
    'Ask a system administrator of the environment to do this once:',
    ...steps.map((one, i) => `  ${i + 1}. ${one}`),
  );
}

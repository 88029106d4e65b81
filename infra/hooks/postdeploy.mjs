// Runs after `azd deploy`: waits for the app, lets it check itself, starts a sync. Run it again with
// `azd hooks run postdeploy`.
import { environmentNames } from './parts/environments.mjs';
import {
  checkHealth,
  checkItself,
  checkSettings,
  FailedChecks,
  functionKey,
  patiently,
  startSync,
} from './parts/function-app.mjs';
import { Problem, runHook, say, value } from './parts/tools.mjs';

await runHook(async () => {
  const url = value('AZURE_FUNCTION_APP_URL').replace(/\/$/, '');
  const app = { group: value('AZURE_RESOURCE_GROUP'), name: value('AZURE_FUNCTION_APP_NAME') };
  const database = value('SYNC_DATABASE_URL');
  const sayWait = () => say('Waiting for the app: its roles can take some minutes to reach storage.');

  await checkSettings(app);
  if (await patiently(() => checkHealth(url), sayWait)) say('', 'The app is healthy.');
  const key = await patiently(
    () => functionKey(app),
    ({ message }) => say(`Waiting for the function key: ${message}`),
  );
  const names = environmentNames();
  const problems = [];
  let ready = [undefined, ...names];
  try {
    const advice = await patiently(() => checkItself(url, key), sayWait);
    say('It reaches storage and Dataverse, and has the privileges that it needs.', ...advice);
  } catch (error) {
    if (!(error instanceof FailedChecks)) throw error;
    problems.push(error);
    ready = ready.filter((name) => !error.isAbout(name));
    if (ready.length === 0) throw error;
  }
  for (const name of ready) {
    try {
      const done = await startSync(url, key, name);
      say(name === undefined ? done : `${name}: ${done}`);
    } catch (error) {
      // The others can start all the same.
      if (!(error instanceof Problem)) throw error;
      problems.push(error);
    }
  }
  // Behind # it is sent nowhere.
  const pages = process.env['SYNC_SIGN_IN_CLIENT_ID'] ? '' : '#key=KEY';
  say(
    '',
    `Pages:       ${url}/api/dashboard${pages}`,
    ...names.map((name) => `  ${name}: ${url}/api/environments/${name}/dashboard${pages}`),
    `Database:    ${database}`,
    `KEY is what this prints: az functionapp keys list --resource-group ${app.group} --name ${app.name} --query functionKeys.default --output tsv`,
  );
  if (problems.length > 0)
    throw new Problem(problems.map(({ message }) => message).join('\n'), problems[0].remedy);
});

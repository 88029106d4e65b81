// The function app after a deployment: waits until it answers, asks it to check itself, starts a sync.
import { az, Problem, request, wait } from './tools.mjs';

/** The app takes 60 seconds at most to check itself, and may have to start first. */
const checkSeconds = 120;
/** Role assignments can take minutes to reach storage; learn.microsoft.com/azure/role-based-access-control/troubleshooting */
const waitSeconds = Number(process.env['SYNC_HOOK_WAIT_SECONDS'] ?? 600);
const intervalSeconds = Number(process.env['SYNC_HOOK_INTERVAL_SECONDS'] ?? 10);

/**
 * Tries until something succeeds or the time is over; then throws the last problem.
 * @template T
 * @param {() => Promise<T>} run throws a Problem while it must wait
 * @param {(problem: Problem) => void} onWait called once, when it has to wait
 * @returns {Promise<T>}
 */
export async function patiently(run, onWait) {
  const end = performance.now() + waitSeconds * 1000;
  for (let isFirst = true; ; isFirst = false) {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof Problem) || error.isFinal || performance.now() >= end) throw error;
      if (isFirst) onWait(error);
      await wait(intervalSeconds);
    }
  }
}

/**
 * Finds a connection string that a deployment tool may add beside the identity. The app would use it, and fail, because
 * the account takes no keys.
 * @param {{ group: string, name: string }} app
 */
export async function checkSettings({ group, name }) {
  const names = await az(
    ...['functionapp', 'config', 'appsettings', 'list'],
    ...['--resource-group', group, '--name', name, '--query', '[].name'],
  );
  if (!names.split(/\s+/).includes('AzureWebJobsStorage')) return;
  throw new Problem(
    'The app has a setting AzureWebJobsStorage, although it signs in to storage with its identity.',
    `Delete it: az functionapp config appsettings delete --resource-group ${group} --name ${name} --setting-names AzureWebJobsStorage`,
  );
}

/**
 * Asks the app whether it is healthy; docs/http-api.md, "Health and check", has the answers.
 * @param {string} url
 * @returns {Promise<boolean>} false if only further environments are not: the app runs, and its check says which
 */
export async function checkHealth(url) {
  const { status, body, text } = await request(`${url}/api/health`);
  const invalid = body?.invalidSettings ?? [];
  if (status === 200) return invalid.length === 0;
  if (invalid.length > 0) {
    const remedy =
      'Correct them with `azd env set`, or in infra/, and run `azd up`; docs/deployment.md lists them.';
    throw new Problem(`Settings of the app are invalid or missing: ${invalid.join(', ')}.`, remedy, true);
  }
  throw new Problem(
    `The app is not healthy: GET ${url}/api/health ${answer(status, body, text)}.`,
    'A role may still be on its way to storage: wait some minutes and run `azd hooks run postdeploy`. If it stays so, open Log stream of the app in the Azure portal.',
  );
}

/**
 * A key of the app. It is not shown anywhere.
 * @param {{ group: string, name: string }} app
 */
export async function functionKey({ group, name }) {
  const key = await az(
    ...['functionapp', 'keys', 'list', '--resource-group', group, '--name', name],
    ...['--query', 'functionKeys.default'],
  );
  if (key !== '' && key !== 'None') return key;
  throw new Problem(`${name} has no function key yet.`, 'Wait a minute and run `azd hooks run postdeploy`.');
}

/**
 * Lets the app check itself: settings, storage, Dataverse and its privileges.
 * @param {string} url
 * @param {string} key
 * @returns {Promise<string[]>} what it advises although all is well, such as to turn change tracking on
 */
export async function checkItself(url, key) {
  const { status, body, text } = await request(
    `${url}/api/check`,
    { headers: { 'x-functions-key': key } },
    checkSeconds,
  );
  const failed = checksOf(body).filter(({ ok }) => ok === false);
  if (status === 200 && failed.length === 0) return lines(checksOf(body).filter(({ hint }) => hint));
  if (failed.length === 0) {
    throw new Problem(
      `The app could not check itself: GET ${url}/api/check ${answer(status, body, text)}.`,
      body?.hint ?? 'Wait a minute and run `azd hooks run postdeploy`.',
    );
  }
  throw new FailedChecks(failed);
}

/** What the app found is wrong. */
export class FailedChecks extends Problem {
  constructor(failed) {
    super(
      `The app is deployed, but it found ${failed.length === 1 ? 'a problem' : `${failed.length} problems`}:\n${lines(failed).join('\n')}`,
      'Do what each line says, then run `azd hooks run postdeploy`.',
      // A role for storage may still be on its way; a missing privilege in Dataverse stays.
      !failed.some(({ name }) => /^(?:[\w-]+: )?storage/.test(name)),
    );
    // What is wrong with the file of further environments keeps the first one from nothing.
    this.environments = failed
      .filter(({ name }) => name !== 'environments')
      .map(({ environment }) => environment);
  }

  /**
   * Whether an environment lacks something.
   * @param {string | undefined} environment undefined for that of the app settings
   */
  isAbout(environment) {
    return this.environments.includes(environment);
  }
}

/** What the app found: objects with `name`, `ok`, `detail` and perhaps `hint` and `environment`. */
const checksOf = (body) => (Array.isArray(body?.checks) ? body.checks : []);

const lines = (checks) =>
  checks.map(({ name, detail, hint }) => `  - ${[`${name}:`, detail, hint].filter(Boolean).join(' ')}`);

/**
 * Starts a sync.
 * @param {string} url
 * @param {string} key
 * @param {string} [environment] the name of a further environment
 * @returns {Promise<string>} what happened, as a sentence
 */
export async function startSync(url, key, environment) {
  const route = environment === undefined ? '/api/sync' : `/api/environments/${environment}/sync`;
  const { status, body, text, headers } = await request(`${url}${route}`, {
    method: 'POST',
    headers: { 'x-functions-key': key },
  });
  if (status === 202) return `A first sync has started: ${new URL(headers.get('location') ?? route, url)}`;
  if (status === 409) return 'A sync is already running.';
  if (status === 401 || status === 302)
    return 'Pages ask for a sign-in, so the first sync starts with the schedule.';
  throw new Problem(
    `The sync did not start: POST ${url}${route} ${answer(status, body, text)}.`,
    body?.hint ?? 'Look at the page of the syncs, or into the logs.',
  );
}

const answer = (status, body, text) =>
  status === 0 ? `got no answer (${text})` : `answered ${status}${body?.detail ? `: ${body.detail}` : ''}`;

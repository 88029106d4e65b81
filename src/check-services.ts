import { type Check, failed, type PendingCheck, runChecks } from './check/check.ts';
import { dataverseCheck, privilegesCheck } from './check/dataverse-checks.ts';
import { postgresChecks } from './check/postgres-checks.ts';
import { checkSchedule } from './check/schedule-check.ts';
import { blobCheck, queueCheck } from './check/storage-checks.ts';
import { entitiesOf, type TableConfig } from './config/entities.ts';
import type { Environment } from './config/environments/environment.ts';
import { invalidSettings } from './config/invalid-settings.ts';
import { readMetricsSettings } from './config/metrics-settings.ts';
import { queueName } from './config/queue-names.ts';
import { readSettings, type Settings } from './config/settings.ts';
import { createDataverseClient } from './dataverse/client.ts';
import { createCredential } from './dataverse/credential.ts';
import { blobConnection, storageConnection } from './services.ts';
import { openBlobs, openStorageAccount } from './storage/account.ts';

/** The queue that the check sends a message to. No function listens to it. */
const checkQueueName = 'sync-check';

/** The check of the file of further environments. infra/hooks/parts/function-app.mjs knows it by this name. */
const environmentsCheckName = 'environments';

/** HTTP requests to a function end after 230 seconds (learn.microsoft.com: Azure Functions HTTP trigger, "Limits"). */
const timeoutMilliseconds = 60_000;

/** What `GET /api/check` answers. */
export interface CheckReport {
  ok: boolean;
  checks: Check[];
}

/**
 * Checks what an environment needs; for that of the app settings, what all environments of the app need. Does not throw.
 * @param all environments of the app
 */
export async function checkEnvironments(
  environment: Environment,
  all: readonly Environment[],
): Promise<CheckReport> {
  const others = environment.name === undefined ? all.filter(({ name }) => name !== undefined) : [];
  const [own, ...reports] = await Promise.all(
    [environment, ...others].map(({ settings }) => checkEverything(settings)),
  );
  const checks = reports.flatMap((report, at) => {
    const { name } = others[at]!;
    return report.checks.map((check) => ({ ...check, name: `${name}: ${check.name}`, environment: name }));
  });
  return {
    ok: [own!, ...reports].every(({ ok }) => ok),
    checks: [...own!.checks, ...checks],
  };
}

/**
 * Checks everything that an environment needs with real requests: settings, schedule, storage accounts, Dataverse, privileges.
 * Does not throw. It leaves nothing behind but an empty queue, and containers that the app would create.
 * @param timeout in milliseconds, for all checks together
 */
export async function checkEverything(
  env: Record<string, string | undefined> = process.env,
  timeout = timeoutMilliseconds,
): Promise<CheckReport> {
  const checks = settingsChecks(env);
  try {
    const settings = readSettings(env);
    checks.push(...(await runChecks([...accessChecks(settings, env), scheduleCheck(env)], timeout)));
  } catch (error) {
    checks.push({ name: 'access', ...failed(error) });
  }
  return { ok: checks.every(({ ok }) => ok), checks };
}

function settingsChecks(env: Record<string, string | undefined>): Check[] {
  const { faults, isOfOthers = false } = invalidSettings(env);
  const wrong = { ok: false, detail: faults.join(' ') };
  const hint = 'Correct the app settings, or entities.json. Restart the app.';
  if (faults.length > 0 && !isOfOthers) return [{ name: 'settings', ...wrong, hint }];
  const valid = { name: 'settings', ok: true, detail: 'All app settings and entities.json are valid.' };
  if (!isOfOthers) return [valid];
  // Apart, because this environment can run.
  const correct = 'Correct the file, or the app settings that it refers to. Restart the app.';
  return [valid, { name: environmentsCheckName, ...wrong, hint: correct }];
}

function scheduleCheck(env: Record<string, string | undefined>): PendingCheck {
  return { name: 'schedule', run: async () => checkSchedule(env['SYNC_SCHEDULE'] ?? '', new Date()) };
}

function accessChecks(settings: Settings, env: Record<string, string | undefined>): PendingCheck[] {
  const { storage, databaseStorage, containers, dataverse, queuePrefix } = settings;
  const host = openStorageAccount(storageConnection(storage));
  const queue = queueName(checkQueueName, { SYNC_QUEUE_PREFIX: queuePrefix });
  const client = createDataverseClient({
    url: dataverse.url,
    credential: createCredential(dataverse.credential),
    maxConcurrency: dataverse.maxConcurrency,
    retry: { maxTries: 2 },
  });
  return [
    blobCheck(
      `${storage.setting}, container ${containers.work}`,
      host.blobs.getContainerClient(containers.work),
    ),
    queueCheck(host.queues.getQueueClient(queue)),
    ...(settings.postgres === undefined ? [] : postgresChecks(settings.postgres)),
    blobCheck(
      `${databaseStorage.setting}, container ${containers.database}`,
      openBlobs(blobConnection(databaseStorage)).getContainerClient(containers.database),
    ),
    dataverseCheck(client),
    privilegesCheck(client, tablesOf(settings), metricsTableOf(env)),
  ];
}

/** None if entities.json is not valid, which the settings' check says. */
function tablesOf(settings: Settings): TableConfig[] {
  try {
    return entitiesOf(settings);
  } catch {
    return [];
  }
}

function metricsTableOf(env: Record<string, string | undefined>): string {
  try {
    return readMetricsSettings(env).table;
  } catch {
    return readMetricsSettings({}).table;
  }
}

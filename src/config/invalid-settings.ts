import { ConfigurationError } from '../errors.ts';
import { rememberSecret, rememberToken } from '../safe-text.ts';
import { entitiesOf } from './entities.ts';
import type { AppSettings } from './environments/environment.ts';
import { readEnvironments } from './environments/read-environments.ts';
import { metricsSettingNames, readMetricsSettings } from './metrics-settings.ts';
import { scheduleFault } from './ncrontab.ts';
import { environmentKey, readSettings, type Settings, settingNames } from './settings.ts';

/** What is wrong with the configuration. */
export interface InvalidSettings {
  /** Sentences that can quote values: for the log and for callers with a key. */
  faults: string[];
  /** Names of the settings that they mention, and nothing else: for callers without a key. */
  names: string[];
  /** Whether it concerns further environments alone: that of these settings can run. */
  isOfOthers?: boolean;
}

/** The settings and files that the app cannot run without, all at once. Both lists are empty if everything is valid. */
export function invalidSettings(env: AppSettings = process.env): InvalidSettings {
  // So that no fault quotes one that was put into the wrong setting as well.
  rememberSecret(env['DATAVERSE_CLIENT_SECRET']);
  rememberToken(env['DATAVERSE_ACCESS_TOKEN']);
  for (const [name, value] of Object.entries(env)) {
    if (name.startsWith('POSTGRES_')) rememberSecret(passwordIn(value));
  }
  const own = [
    () => readSettings(env),
    () => readMetricsSettings(env),
    () => checkSchedule(env['SYNC_SCHEDULE']),
    () => checkEntities(env),
  ].flatMap(faultsOf);
  const others = faultsOf(() => checkEnvironments(env));
  const faults = [...own, ...others];
  // Known names only: a message may quote what somebody typed.
  const text = faults.join(' ');
  const known = [...settingNames, ...metricsSettingNames, 'SYNC_SCHEDULE'];
  const names = known.filter((name) => new RegExp(`(?<!\\w)${name}(?!\\w)`).test(text));
  return { faults, names, isOfOthers: own.length === 0 && others.length > 0 };
}

function faultsOf(read: () => void): string[] {
  try {
    read();
    return [];
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return [error.message];
  }
}

/** As it stands in a connection string, also in one that is not valid. */
function passwordIn(url: string | undefined): string | undefined {
  return /:\/\/[^/]*?:(.*)@/.exec(url ?? '')?.[1];
}

/** The host takes `%SYNC_SCHEDULE%` as it is; without it, only the timer does not work. */
function checkSchedule(schedule: string | undefined): void {
  if (!schedule?.trim()) throw new ConfigurationError('SYNC_SCHEDULE is missing.');
  const fault = scheduleFault(schedule);
  if (fault !== undefined) throw new ConfigurationError(`SYNC_SCHEDULE ${fault}.`);
}

/** Those of the app settings name the file. Each environment of it has settings of its own, which are looked at apart. */
function checkEnvironments(env: AppSettings): void {
  if (env[environmentKey] !== undefined) return;
  const { faults } = readEnvironments(env);
  if (faults.length > 0) throw new ConfigurationError(faults.join(' '));
}

function checkEntities(env: AppSettings): void {
  let settings: Settings;
  try {
    settings = readSettings(env);
  } catch {
    // Reported already.
    return;
  }
  try {
    entitiesOf(settings);
  } catch (error) {
    throw new ConfigurationError(`SYNC_ENTITIES_FILE: ${(error as Error).message}`, { cause: error });
  }
}

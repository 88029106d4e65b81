import { resolve } from 'node:path';
import { ConfigurationError } from '../../errors.ts';
import { queuePrefixPattern } from '../queue-names.ts';
import { type AppSettings, Environment } from './environment.ts';
import { settingsOf, withSharedMemory } from './environment-settings.ts';
import { type ConfiguredEnvironment, readEnvironmentsFile } from './environments-file.ts';
import { isSamePlace, placesOf, shareLandingZone } from './shared-places.ts';

/** The environments of an app. */
export interface Environments {
  /** That of the app settings first, then those of environments.json. Their settings may be invalid still. */
  environments: Environment[];
  /** Why environments of the file are left out: sentences that quote no value and begin with the name of a setting. */
  faults: string[];
}

/**
 * The environments that an app syncs: that of the app settings, and those of the file that `SYNC_ENVIRONMENTS_FILE` names.
 * Does not throw: what is wrong with one environment, or with the file, stops no other.
 * @param root the folder that contains host.json
 */
export function readEnvironments(app: AppSettings = process.env, root: string = process.cwd()): Environments {
  const file = app['SYNC_ENVIRONMENTS_FILE']?.trim();
  if (!file) return { environments: [new Environment(undefined, app)], faults: [] };
  const path = resolve(root, file);
  let configured: ConfiguredEnvironment[] = [];
  const faults: string[] = [];
  const leaveOut = (fault: string) => faults.push(`SYNC_ENVIRONMENTS_FILE: ${fault}`);
  try {
    const read = readEnvironmentsFile(path, app);
    configured = read.environments;
    read.faults.forEach(leaveOut);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    leaveOut(error.message);
  }
  const kept = [new Environment(undefined, app)];
  for (const one of configured) {
    const environment = new Environment(one.name, settingsOf(one, app));
    const fault = faultOf(environment, kept);
    if (fault === undefined) kept.push(environment);
    else leaveOut(`${path}: environment ${one.name}: ${fault}.`);
  }
  const environments = kept.map(
    ({ name, settings }) => new Environment(name, withSharedMemory(settings, kept.length)),
  );
  return { environments, faults };
}

/** What keeps an environment from running beside the others, and what the host must know before it starts. */
function faultOf({ settings }: Environment, others: readonly Environment[]): string | undefined {
  const prefix = settings['SYNC_QUEUE_PREFIX']!.trim();
  // The functions would listen to the queues of the app settings.
  if (!queuePrefixPattern.test(prefix)) {
    return 'SYNC_QUEUE_PREFIX is invalid or, with its name, too long: it must be 2 to 37 lower-case letters, digits and single hyphens';
  }
  for (const other of others) {
    const whose = other.name === undefined ? 'the app settings' : `environment ${other.name}`;
    const taken = placesOf(other.settings);
    const shared = placesOf(settings).find((place) => taken.some((one) => isSamePlace(one, place)));
    if (shared !== undefined) return `${shared.setting} is that of ${whose}: give it one of its own`;
    if (shareLandingZone(settings, other.settings))
      return `FABRIC_LANDING_ZONE is that of ${whose}, or one is a folder of the other: give it one of its own`;
  }
  const { SYNC_WORK_CONTAINER: work, SYNC_DATABASE_CONTAINER: database } = settings;
  if (work?.trim() === database?.trim())
    return 'SYNC_WORK_CONTAINER and SYNC_DATABASE_CONTAINER must be two containers';
  return undefined;
}

let known: readonly Environment[] | undefined;

/** The environments of this process, read once: the host takes functions only while it loads the app. */
export function appEnvironments(): readonly Environment[] {
  known ??= readEnvironments().environments;
  return known;
}

import { appVersion } from '../../config/app-version.ts';
import type { InvalidSettings } from '../../config/invalid-settings.ts';
import type { Handler } from '../handler.ts';

/** What the answer is made of. */
export interface HealthSources {
  invalidSettings: () => InvalidSettings;
  /** When the last successful run ended, from storage. */
  lastSuccess: () => Promise<string | undefined>;
  /** Asks the storage of the database, which can be an account of its own. Throws if it does not answer. */
  askDatabase: () => Promise<unknown>;
}

/** The body of the answer. It has no data of Dataverse and no value of a setting: anybody may read it. */
export interface Health {
  status: 'healthy' | 'unhealthy';
  version: string;
  /** Names of the settings that are invalid or missing. */
  invalidSettings: string[];
  storage: 'available' | 'unavailable' | 'unknown';
  /** When the latest run without a failed table ended: ISO 8601, UTC. Null if none of the last few runs is one. */
  lastSuccess: string | null;
}

export interface HealthOptions {
  /** For how long an answer is kept, so that requests of strangers cost no more than one a while. @default 15_000 */
  keepMilliseconds?: number;
  /** How long the storage may take. @default 5_000 */
  timeoutMilliseconds?: number;
}

/**
 * `GET /api/health`: whether the app can run: 200, or 503 if settings are invalid or a storage account does not answer. A monitor
 * restarts an app for 503, so neither Dataverse nor the age of the mirror is a reason.
 */
export function getHealth(sources: HealthSources, options: HealthOptions = {}): Handler<void> {
  const { keepMilliseconds = 15_000, timeoutMilliseconds = 5_000 } = options;
  let kept: { until: number; health: Promise<Health> } | undefined;
  return async () => {
    // All requests of one moment wait for one answer.
    if (kept === undefined || performance.now() >= kept.until) {
      kept = {
        until: performance.now() + keepMilliseconds + timeoutMilliseconds,
        health: check(sources, timeoutMilliseconds),
      };
      const extend = () => {
        if (kept !== undefined) kept.until = performance.now() + keepMilliseconds;
      };
      // The requests that wait for the answer get its error. Without a handler here, it would end the process.
      void kept.health.then(extend, extend);
    }
    const health = await kept.health;
    return { status: health.status === 'healthy' ? 200 : 503, jsonBody: health };
  };
}

async function check(sources: HealthSources, timeout: number): Promise<Health> {
  const { names, faults, isOfOthers = false } = sources.invalidSettings();
  // A restart would end the runs of all environments because of one that is left out.
  const areValid = faults.length === 0 || isOfOthers;
  const found = areValid ? await readInTime(sources, timeout) : undefined;
  return {
    status: found === undefined ? 'unhealthy' : 'healthy',
    version: appVersion(),
    invalidSettings: names,
    storage: areValid ? (found === undefined ? 'unavailable' : 'available') : 'unknown',
    lastSuccess: found?.lastSuccess ?? null,
  };
}

/** @returns undefined if the storage fails or does not answer in time; the log of other functions has its error */
async function readInTime(
  { lastSuccess, askDatabase }: HealthSources,
  timeout: number,
): Promise<{ lastSuccess: string | undefined } | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(resolve, timeout, undefined);
  const read = Promise.resolve()
    .then(() => Promise.all([lastSuccess(), askDatabase()]))
    .then(
      ([at]) => ({ lastSuccess: at }),
      () => undefined,
    );
  try {
    return await Promise.race([read, late]);
  } finally {
    clearTimeout(timer);
  }
}

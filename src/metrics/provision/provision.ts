import { setTimeout as sleep } from 'node:timers/promises';
import type { MetricsSettings } from '../../config/metrics-settings.ts';
import { ConfigurationError } from '../../errors.ts';
import type { MetadataApi } from './metadata-api.ts';
import { findKey, planProvision } from './plan-provision.ts';

/** Checks of the alternate key before its index is left to Dataverse, two seconds apart. */
const maxKeyChecks = 30;

/**
 * Creates the campaign metrics table in Dataverse or adds what it lacks, then checks the privileges that
 * reading and writing its rows need.
 * @param print receives each line of the report
 * @returns whether the table is ready for use
 * @throws ConfigurationError if Dataverse cannot build the alternate key
 */
export async function provision(
  api: MetadataApi,
  settings: MetricsSettings,
  options: { dryRun: boolean; keyPauseMs?: number },
  print: (line: string) => void,
): Promise<boolean> {
  const { steps, differences } = planProvision(api, settings, await api.readTable(settings.table));
  for (const difference of differences) print(`attention: ${difference}`);
  const toCreate = steps.map((step) => step.privilege);
  if (!(await checkPrivileges(api, toCreate, 'any', 'create what is missing', print))) {
    for (const step of steps) print(`missing: ${step.what}`);
    return false;
  }
  if (steps.length === 0) print(`The table ${settings.table} is complete.`);
  for (const step of steps) {
    print(options.dryRun ? `would ${step.what}` : step.what);
    if (!options.dryRun) await step.run();
  }
  if (options.dryRun && steps.length > 0) return differences.length === 0;
  const { schemaName, keyStatus } = await awaitKey(api, settings, options.keyPauseMs ?? 2_000);
  if (keyStatus !== 'Active') print(`Dataverse is still building the alternate key (${keyStatus}).`);
  // Change tracking requires Read on the whole table.
  const toWrite = ['Create', 'Read', 'Write'].map((verb) => `prv${verb}${schemaName}`);
  if (!(await checkPrivileges(api, toWrite, 'Global', 'write and sync campaign metrics', print)))
    return false;
  print('The identity has all privileges that campaign metrics need.');
  return differences.length === 0;
}

/** Whether the identity holds all of these privileges. If not, prints what an administrator must grant. */
async function checkPrivileges(
  api: MetadataApi,
  names: readonly string[],
  depth: 'any' | 'Global',
  purpose: string,
  print: (line: string) => void,
): Promise<boolean> {
  const { userId, held } = await api.readPrivileges();
  const lacking = new Set(
    names.filter((name) => {
      const own = held.get(name.toLowerCase());
      return own === undefined || (depth === 'Global' && own !== depth);
    }),
  );
  if (lacking.size === 0) return true;
  const list = [...lacking].map((name) => `\n  ${name} (organization level)`).join('');
  print(
    `To ${purpose}, an administrator must grant these privileges, in a security role of the user ${userId}:${list}`,
  );
  return false;
}

/** Waits for the index of the alternate key, which Dataverse builds in the background. */
async function awaitKey(
  api: MetadataApi,
  settings: MetricsSettings,
  pauseMs: number,
): Promise<{ schemaName: string; keyStatus: string }> {
  for (let checks = 1; ; checks += 1) {
    const table = await api.readTable(settings.table);
    const keyStatus = findKey(settings, table)?.EntityKeyIndexStatus ?? 'Pending';
    if (keyStatus === 'Failed') {
      throw new ConfigurationError('Dataverse could not build the alternate key.', {
        operation: 'create the alternate key',
        object: settings.table,
        hint: 'Several rows have the same campaign, run and phase: merge them, delete the failed key and run this command again.',
      });
    }
    if (keyStatus === 'Active' || checks === maxKeyChecks) {
      return { schemaName: table?.SchemaName ?? settings.table, keyStatus };
    }
    await sleep(pauseMs);
  }
}

import type { MetricsSettings } from '../../config/metrics-settings.ts';
import type { MetadataApi } from './provision-metadata.ts';
import { awaitKey, planProvision } from './provision-table.ts';

/** What the functions do with the table's rows; organisation-wide, because delta reading demands it. */
const verbs = ['Create', 'Read', 'Write'] as const;

/**
 * Provisions and checks.
 * @param say takes a line for people
 * @returns whether the table can be used as it is now
 */
export async function provision(
  api: MetadataApi,
  settings: MetricsSettings,
  options: { dryRun: boolean; keyPauseMs?: number },
  say: (line: string) => void,
): Promise<boolean> {
  const { userId, held } = await api.readPrivileges();
  const before = await api.readTable(settings.table);
  const { steps, differences } = planProvision(api, settings, before);
  for (const difference of differences) say(`attention: ${difference}`);
  const lacking = [...new Set(steps.map((step) => step.privilege))].filter(
    (name) => !held.has(name.toLowerCase()),
  );
  if (lacking.length > 0) {
    say(grantText(userId, lacking, 'To create what is missing, an administrator must grant'));
    for (const step of steps) say(`missing: ${step.what}`);
    return false;
  }
  if (steps.length === 0) say(`The table ${settings.table} is complete.`);
  for (const step of steps) {
    say(options.dryRun ? `would ${step.what}` : step.what);
    if (!options.dryRun) await step.run();
  }
  if (options.dryRun && steps.length > 0) return differences.length === 0;
  const status = await awaitKey(
    api,
    settings,
    options.keyPauseMs === undefined ? {} : { pauseMs: options.keyPauseMs },
  );
  if (status !== 'Active')
    say(`The alternate key is not ready yet (${status}); Dataverse goes on building it.`);
  const usable = await checkRowPrivileges(api, settings, say);
  return usable && differences.length === 0;
}

async function checkRowPrivileges(
  api: MetadataApi,
  settings: MetricsSettings,
  say: (line: string) => void,
): Promise<boolean> {
  const table = await api.readTable(settings.table);
  const { userId, held } = await api.readPrivileges();
  const needed = verbs.map((verb) => `prv${verb}${table?.schemaName ?? settings.table}`);
  const lacking = needed.filter((name) => held.get(name.toLowerCase()) !== 'Global');
  if (lacking.length === 0) {
    say('The identity has all privileges that campaign metrics need.');
    return true;
  }
  say(grantText(userId, lacking, 'To write and sync campaign metrics, an administrator must grant'));
  return false;
}

function grantText(userId: string, names: readonly string[], lead: string): string {
  const list = names.map((name) => `  ${name} (organization level)`).join('\n');
  return `${lead} these privileges, in a security role of the user ${userId}:\n${list}`;
}

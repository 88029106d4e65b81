import type { DeployedResource } from '../bicep/references.ts';
import { at, expectProperties, type Planned, type Rule } from '../infrastructure.ts';
import { containersOf, dataAccountOf, hostAccountOf, isSame } from './parts.ts';

interface LifecycleRule {
  enabled: boolean;
  definition: {
    filters?: { prefixMatch?: string[]; blobTypes?: string[] };
    actions: Record<string, unknown>;
  };
}

/** What no rule may delete by its age, with the reason. */
const keptForEver: Record<string, string> = {
  'sync-work/active.json': 'says which run is active',
  'sync-work/reread.json': 'holds requests that no run has noted',
  'sync-work/catalogs/': 'is in use while the state names it',
  'sync-work/choices/': 'is in use while the state names it',
  'sync-work/stored-ids/': 'is in use while the state names it',
  'sync-work/metrics/': 'holds accepted records that are not in Dataverse',
  'app-package/': 'is read whenever an instance starts',
  'azure-webjobs-': 'belongs to the Functions host',
};

export const storageRules: Record<string, Rule> = {
  'a lifecycle rule deletes what old runs left, and nothing that is in use': (planned) => {
    const rules = lifecycleOf(planned, hostAccountOf(planned));
    const prefixes = rules.flatMap(({ definition }) => definition.filters?.prefixMatch ?? ['']);
    const broken = Object.entries(keptForEver)
      .filter(([kept]) => prefixes.some((prefix) => kept.startsWith(prefix) || prefix.startsWith(kept)))
      .map(([kept, reason]) => `A rule deletes ${kept}, which ${reason}`);
    const works = rules.every(
      ({ enabled, definition }) =>
        enabled &&
        isSame(definition.filters?.blobTypes, ['blockBlob']) &&
        isSame(definition.actions as never, {
          baseBlob: { delete: { daysAfterModificationGreaterThan: 90 } },
        }),
    );
    return [
      ...broken,
      ...(isSame(prefixes, ['sync-work/runs/']) ? [] : [`The rule is for ${prefixes}`]),
      ...(works ? [] : ['The rule does not delete block blobs after 90 days']),
    ];
  },

  'only old versions of the database are deleted': (planned) => {
    const account = dataAccountOf(planned);
    const days = planned.variant.parameters['databaseRetentionDays'] ?? 14;
    const rules = lifecycleOf(planned, account);
    const expected = [
      {
        name: 'delete-old-versions',
        enabled: true,
        type: 'Lifecycle',
        definition: {
          filters: { blobTypes: ['blockBlob'], prefixMatch: ['dataverse/'] },
          actions: { version: { delete: { daysAfterCreationGreaterThan: days } } },
        },
      },
    ];
    return isSame(rules as never, expected as never)
      ? []
      : ['Old versions are not deleted, or more than these'];
  },

  'versions are immutable if this is chosen': (planned) => {
    const { databaseImmutabilityDays: days, databaseRetentionDays: kept = 14 } = planned.variant.parameters;
    const policies = planned.all(
      'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies',
    );
    // A version that must not be deleted longer than it is kept would fail the lifecycle rule each day.
    const wanted = days === undefined ? [] : [Math.min(Number(days), Number(kept))];
    const found = policies.map((one) => at(one, 'properties.immutabilityPeriodSinceCreationInDays'));
    return isSame(found, wanted) ? [] : [`There are policies for ${found} days`];
  },

  'each read, write and delete of the database is recorded': (planned) => {
    const audits = planned.all('Microsoft.Insights/diagnosticSettings');
    const scope = blobServiceOf(planned, dataAccountOf(planned)).id;
    const audit = audits.find((one) => one.scope === scope);
    if (audit === undefined) return ['The blobs of the database have no diagnostic settings'];
    return expectProperties(audit, {
      'properties.workspaceId': planned.one('Microsoft.OperationalInsights/workspaces').id,
      'properties.logs': ['StorageRead', 'StorageWrite', 'StorageDelete'].map((category) => ({
        category,
        enabled: true,
      })),
      'properties.metrics': [{ category: 'Transaction', enabled: true }],
    });
  },

  'the accounts have their containers, and the database is in an account of its own': (planned) => {
    const host = containersOf(planned, hostAccountOf(planned));
    const data = containersOf(planned, dataAccountOf(planned));
    return [
      ...(isSame(host, ['sync-work', 'app-package']) ? [] : [`The host's account has ${host}`]),
      ...(isSame(data, ['dataverse']) ? [] : [`The account of the database has ${data}`]),
    ];
  },
};

function blobServiceOf(planned: Planned, account: DeployedResource): DeployedResource {
  const all = planned.all('Microsoft.Storage/storageAccounts/blobServices');
  const found = all.find(({ names }) => names[0] === account.names[0]);
  if (found === undefined) throw new Error(`${account.names[0]} has no blob service`);
  return found;
}

function lifecycleOf(planned: Planned, account: DeployedResource): LifecycleRule[] {
  const all = planned.all('Microsoft.Storage/storageAccounts/managementPolicies');
  const found = all.find(({ names }) => names[0] === account.names[0]);
  if (found === undefined) throw new Error(`${account.names[0]} has no lifecycle rules`);
  return at(found, 'properties.policy.rules') as never;
}

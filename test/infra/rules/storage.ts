import type { DeployedResource } from '../bicep/references.ts';
import { at, environmentsOf, expectProperties, type Planned, type Rule } from '../infrastructure.ts';
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

/** A container of the first environment, and that of each further one. */
const ofEach = (planned: Planned, container: string): string[] => [
  container,
  ...environmentsOf(planned.variant).map((name) => `${container}-${name}`),
];

export const storageRules: Record<string, Rule> = {
  'a lifecycle rule deletes what old runs left, and nothing that is in use': (planned) => {
    const rules = lifecycleOf(planned, hostAccountOf(planned));
    const prefixes = rules.flatMap(({ definition }) => definition.filters?.prefixMatch ?? ['']);
    const works = ofEach(planned, 'sync-work');
    const kept = Object.entries(keptForEver).flatMap(([path, reason]) =>
      works.map((work) => [path.replace(/^sync-work(?=\/)/, work), reason] as const),
    );
    const broken = kept
      .filter(([path]) => prefixes.some((prefix) => path.startsWith(prefix) || prefix.startsWith(path)))
      .map(([path, reason]) => `A rule deletes ${path}, which ${reason}`);
    const isRight = rules.every(
      ({ enabled, definition }) =>
        enabled &&
        isSame(definition.filters?.blobTypes, ['blockBlob']) &&
        isSame(definition.actions as never, {
          baseBlob: { delete: { daysAfterModificationGreaterThan: 90 } },
        }),
    );
    return [
      ...broken,
      ...(`${prefixes}` === `${works.map((work) => `${work}/runs/`)}` ? [] : [`The rule is for ${prefixes}`]),
      ...(isRight ? [] : ['The rule does not delete block blobs after 90 days']),
    ];
  },

  'only old versions of the database are deleted': (planned) => {
    const account = dataAccountOf(planned);
    const days = planned.variant.parameters['databaseRetentionDays'] ?? 14;
    const rules = lifecycleOf(planned, account);
    const expected = ofEach(planned, 'dataverse').map((container, i) => ({
      name: i === 0 ? 'delete-old-versions' : `delete-old-versions-of-${container}`,
      enabled: true,
      type: 'Lifecycle',
      definition: {
        filters: { blobTypes: ['blockBlob'], prefixMatch: [`${container}/`] },
        actions: { version: { delete: { daysAfterCreationGreaterThan: days } } },
      },
    }));
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
    const wanted =
      days === undefined
        ? []
        : ofEach(planned, 'dataverse').map(
            (one) => `${one} for ${Math.min(Number(days), Number(kept))} days`,
          );
    const found = policies.map(
      (one) => `${one.names[2]} for ${at(one, 'properties.immutabilityPeriodSinceCreationInDays')} days`,
    );
    return isSame(found, wanted) ? [] : [`There are policies: ${found}`];
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
      ...(isSame(host, [...ofEach(planned, 'sync-work'), 'app-package'])
        ? []
        : [`The host's account has ${host}`]),
      ...(isSame(data, ofEach(planned, 'dataverse')) ? [] : [`The account of the database has ${data}`]),
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

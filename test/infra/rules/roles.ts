import { functions, subscriptionId } from '../bicep/functions.ts';
import type { DeployedResource } from '../bicep/references.ts';
import { at, type Planned, type Rule, readersGroup } from '../infrastructure.ts';
import { given, hostAccountOf, identityOf, readSource } from './parts.ts';

/** A role that a deployment gives, and the calls that need it. */
interface ExpectedRole {
  role: string;
  /** learn.microsoft.com/azure/role-based-access-control/built-in-roles */
  id: string;
  /** The data actions of the role that are used. */
  allows: string;
  /** Where the product makes such calls: a text in a file; none for calls of Azure itself. */
  calls: [file: string, text: string][];
  principal: 'identity' | 'readers';
  scopes(planned: Planned): string[];
  /** Whether a deployment with these parameters has it. */
  isWanted?(parameters: Planned['variant']['parameters']): boolean;
}

/** That of the mirror, and of the mirror of each further environment. */
const databasesOf = (planned: Planned): string[] =>
  planned
    .all('Microsoft.Storage/storageAccounts/blobServices/containers')
    .filter(({ module }) => module === 'dataStorage')
    .map(({ id }) => id);

const expectedRoles: ExpectedRole[] = [
  {
    role: 'Storage Blob Data Owner',
    id: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b',
    allows: 'blobs/read, write, delete, add; leases of the host; containers/write',
    calls: [
      ['src/storage/errors.ts', 'container.createIfNotExists()'],
      ['src/metrics/journal/journal-lease.ts', 'getBlobLeaseClient'],
    ],
    principal: 'identity',
    scopes: (planned) => [hostAccountOf(planned).id],
  },
  {
    role: 'Storage Queue Data Contributor',
    id: '974c5e8b-45b9-4653-ba55-5f855dd0fb88',
    allows: 'messages/read, write, delete; queues/read, write',
    calls: [
      ['src/storage/queue-owner.ts', '.setMetadata('],
      ['src/storage/queue-sender.ts', '.sendMessage('],
      ['src/storage/queue-sender.ts', '.createIfNotExists('],
    ],
    principal: 'identity',
    scopes: (planned) => [hostAccountOf(planned).id],
  },
  {
    role: 'Storage Blob Data Contributor',
    id: 'ba92f5b4-2d11-453d-a403-e96b0029c9fe',
    allows: 'blobs/read, write, delete',
    calls: [['src/storage/database/database-blob.ts', 'commitBlockList']],
    principal: 'identity',
    scopes: databasesOf,
  },
  {
    role: 'Monitoring Metrics Publisher',
    id: '3913510d-42f4-4e42-8a64-420c390055eb',
    allows: 'Microsoft.Insights/Telemetry/Write',
    calls: [['src/telemetry/monitor.ts', 'APPLICATIONINSIGHTS_CONNECTION_STRING']],
    principal: 'identity',
    scopes: (planned) => [planned.one('Microsoft.Insights/components').id],
  },
  {
    role: 'Key Vault Secrets User',
    id: '4633458b-17de-408a-b874-0445c86b69e6',
    allows: 'secrets/getSecret',
    calls: [],
    principal: 'identity',
    scopes: (planned) => [planned.one('Microsoft.KeyVault/vaults').id],
    isWanted: ({ clientSecretApplicationId }) => clientSecretApplicationId !== undefined,
  },
  {
    role: 'Storage Blob Data Reader',
    id: '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1',
    allows: 'blobs/read',
    calls: [],
    principal: 'readers',
    scopes: databasesOf,
    isWanted: ({ readersGroupId }) => readersGroupId !== undefined,
  },
];

const noContext = { resourceGroup: '', readFile: () => '' };

export const roleRules: Record<string, Rule> = {
  'roles are the least that the calls need, and nothing more': (planned) => {
    const found = planned.all('Microsoft.Authorization/roleAssignments').map(describe);
    const wanted = expectedRoles
      .filter(({ isWanted }) => isWanted?.(planned.variant.parameters) ?? true)
      .flatMap((expected) => {
        const principal =
          expected.principal === 'readers' ? readersGroup : given(identityOf(planned), 'principalId');
        const type = expected.principal === 'readers' ? 'Group' : 'ServicePrincipal';
        const definition = `/subscriptions/${subscriptionId}/providers/Microsoft.Authorization/roleDefinitions/${expected.id}`;
        return expected.scopes(planned).map((scope) => `${definition} for ${type} ${principal} on ${scope}`);
      });
    return [
      ...wanted.filter((one) => !found.includes(one)).map((one) => `Missing: ${one}`),
      ...found.filter((one) => !wanted.includes(one)).map((one) => `Too much: ${one}`),
    ];
  },

  'the name of a role assignment comes from scope, principal and role': (planned) =>
    planned.all('Microsoft.Authorization/roleAssignments').flatMap((one) => {
      const parts = [one.scope!, at(one, 'properties.principalId'), at(one, 'properties.roleDefinitionId')];
      const name = functions['guid']!.call(parts, noContext);
      return one.names[0] === name ? [] : [`${one.symbol} has another name`];
    }),

  'the product makes the calls that its roles allow': () =>
    expectedRoles.flatMap(({ role, calls }) =>
      calls
        .filter(([file, text]) => !readSource(file).includes(text))
        .map(([file]) => `${file} no longer needs ${role}`),
    ),
};

function describe(assignment: DeployedResource): string {
  const property = (name: string) => at(assignment, `properties.${name}`);
  const principal = `${property('principalType')} ${property('principalId')}`;
  return `${property('roleDefinitionId')} for ${principal} on ${assignment.scope}`;
}

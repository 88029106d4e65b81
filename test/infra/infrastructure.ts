import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { sharedPath } from '../shared.ts';
import { type Deployment, deploy } from './bicep/deployment.ts';
import type { DeployedResource } from './bicep/references.ts';
import { ResourceTypes } from './bicep/resource-types.ts';
import type { Value } from './bicep/values.ts';
import { closedRules } from './rules/closed.ts';
import { idempotenceRules } from './rules/idempotence.ts';
import { monitoringRules } from './rules/monitoring.ts';
import { networkRules } from './rules/network.ts';
import { orderRules } from './rules/order.ts';
import { parameterRules } from './rules/parameters.ts';
import { roleRules } from './rules/roles.ts';
import { secretRules } from './rules/secrets.ts';
import { securityRules } from './rules/security.ts';
import { settingRules } from './rules/settings.ts';
import { storageRules } from './rules/storage.ts';
import { wholeRules } from './rules/whole.ts';

export const root = resolve(import.meta.dirname, '../..');
const folder = sharedPath('bicep-types');

/** The types of Azure; undefined where they are absent. Parsed once. */
export const resourceTypes = folder === undefined ? undefined : new ResourceTypes(folder);

/** Reads a file of infra/ by its path from there. */
export type Read = (path: string) => string;
export const readInfra: Read = (path) => readFileSync(join(root, 'infra', path), 'utf8');

/** A deployment with one choice of parameters. */
export interface Variant {
  name: string;
  parameters: Record<string, Value>;
}

export const readersGroup = '11111111-1111-4111-8111-111111111111';
export const application = '22222222-2222-4222-8222-222222222222';
export const signInApplication = '33333333-3333-4333-8333-333333333333';
const least = {
  environmentName: 'test',
  location: 'westeurope',
  dataverseUrl: 'https://contoso.crm.dynamics.com',
};

/** Every condition of infra/ holds in one of these and fails in another. */
export const variants: Variant[] = [
  { name: 'with defaults', parameters: least },
  {
    name: 'of another environment',
    // The longest name.
    parameters: {
      ...least,
      environmentName: 'x'.repeat(64),
      instanceMemoryMB: 512,
      schedule: '0 0 3 * * *',
      runbookUrl: 'https://example.com/runbook.md',
    },
  },
  {
    name: 'with readers, alerts and 4 GB',
    parameters: {
      ...least,
      readersGroupId: readersGroup,
      alertEmail: 'crm@contoso.com',
      instanceMemoryMB: 4096,
      alwaysReadyInstances: 1,
      databaseRetentionDays: 30,
      // Longer than versions are kept.
      databaseImmutabilityDays: 60,
      logRetentionDays: 90,
      // Not every day.
      schedule: '0 0 6 * * 1-5',
      // One that is new, and one instead of what the deployment works out.
      extraSettings: { SYNC_VERIFY_HOURS: '12', SYNC_CACHE_MB: '500' },
      environmentsFile: 'environments.json',
      environmentNames: 'sales, north-2,',
    },
  },
  { name: 'in a private network', parameters: { ...least, privateNetwork: true } },
  {
    name: 'with a client secret and sign-in',
    parameters: { ...least, clientSecretApplicationId: application, signInClientId: signInApplication },
  },
  {
    name: 'with all of it',
    parameters: {
      ...least,
      privateNetwork: true,
      clientSecretApplicationId: application,
      clientSecretTenantId: '44444444-4444-4444-8444-444444444444',
      signInClientId: signInApplication,
      readersGroupId: readersGroup,
      alertEmail: 'crm@contoso.com',
      environmentsFile: 'environments.json',
      environmentNames: 'sales,service',
    },
  },
];

/** The further environments of a deployment. */
export const environmentsOf = ({ parameters }: Variant): string[] =>
  String(parameters['environmentNames'] ?? '')
    .split(/[\s,]+/)
    .filter((name) => name !== '');

/** One variant, carried out without Azure. */
export interface Planned extends Deployment {
  variant: Variant;
  /** The deployed resources of a type, existing ones left out. */
  all(type: string): DeployedResource[];
  /** The one resource of a type and, if needed, of a module. @throws if there is none or several */
  one(type: string, symbol?: string): DeployedResource;
}

export function plan(variant: Variant, read: Read = readInfra, types = resourceTypes): Planned {
  const deployment = deploy({ read, main: 'main.bicep', parameters: variant.parameters, types });
  const all = (type: string) => deployment.resources.filter((one) => one.type === type && !one.isExisting);
  return {
    ...deployment,
    variant,
    all,
    one(type, symbol) {
      const found = all(type).filter(
        (one) => symbol === undefined || `${one.module}.${one.symbol}` === symbol,
      );
      if (found.length !== 1) throw new Error(`There are ${found.length} ${type} ${symbol ?? ''}`);
      return found[0]!;
    },
  };
}

/** What a rule finds wrong with one variant. */
export type Rule = (planned: Planned, read: Read) => string[];

export const rules: Record<string, Rule> = {
  ...closedRules,
  ...wholeRules,
  ...securityRules,
  ...secretRules,
  ...roleRules,
  ...storageRules,
  ...settingRules,
  ...orderRules,
  ...monitoringRules,
  ...networkRules,
  ...idempotenceRules,
  ...parameterRules,
};

/** Everything that is wrong with infra/: what a compiler, Azure's types and the rules find in any variant. */
export function checkInfrastructure(read: Read, types = resourceTypes): string[] {
  const faults = new Set<string>();
  for (const variant of variants) {
    const planned = plan(variant, read, types);
    for (const fault of planned.faults) faults.add(fault);
    for (const [name, rule] of Object.entries(rules)) {
      for (const fault of attempt(() => rule(planned, read))) faults.add(`${name}: ${fault}`);
    }
  }
  return [...faults];
}

/** A rule that cannot even look has found something. */
export function attempt(run: () => string[]): string[] {
  try {
    return run();
  } catch (error) {
    return [(error as Error).message];
  }
}

/** A property of a resource by its path; undefined if there is none. */
export function at(resource: DeployedResource, path: string): Value {
  let value: unknown = resource.body;
  for (const name of path.split('.')) value = (value as Record<string, unknown> | undefined | null)?.[name];
  return value as Value;
}

/** Compares properties by path with what they must be. */
export function expectProperties(resource: DeployedResource, expected: Record<string, Value>): string[] {
  return Object.entries(expected).flatMap(([path, value]) => {
    const found = at(resource, path);
    const isRight = JSON.stringify(found) === JSON.stringify(value);
    return isRight
      ? []
      : [
          `${resource.module}.${resource.symbol}: ${path} must be ${JSON.stringify(value)}, not ${JSON.stringify(found)}`,
        ];
  });
}

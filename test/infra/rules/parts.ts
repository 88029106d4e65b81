import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { DeployedResource } from '../bicep/references.ts';
import type { Value } from '../bicep/values.ts';
import type { Planned } from '../infrastructure.ts';

const root = resolve(import.meta.dirname, '../../..');

const sources = new Map<string, string>();

/** A file of the project by its path. Read once. */
export function readSource(path: string): string {
  const text = sources.get(path) ?? readFileSync(join(root, path), 'utf8');
  sources.set(path, text);
  return text;
}

export const functionAppOf = (planned: Planned): DeployedResource => planned.one('Microsoft.Web/sites');
export const identityOf = (planned: Planned): DeployedResource =>
  planned.one('Microsoft.ManagedIdentity/userAssignedIdentities');
export const hostAccountOf = (planned: Planned): DeployedResource =>
  planned.one('Microsoft.Storage/storageAccounts', 'hostStorage.account');
export const dataAccountOf = (planned: Planned): DeployedResource =>
  planned.one('Microsoft.Storage/storageAccounts', 'dataStorage.account');

/** The app settings of a deployment. */
export function settingsOf(planned: Planned): Record<string, string> {
  const found = planned.all('Microsoft.Web/sites/config').filter(({ names }) => names[1] === 'appsettings');
  if (found.length !== 1) throw new Error(`The app has ${found.length} groups of settings`);
  return found[0]!.body['properties'] as Record<string, string>;
}

/** The value of a resource that a deployment gives, as the settings contain it. */
export const given = (resource: DeployedResource, path: string): string =>
  `«${resource.names.join('/')}.properties.${path}»`;

/** A container of an account by its name. */
export function containersOf(planned: Planned, account: DeployedResource): string[] {
  return planned
    .all('Microsoft.Storage/storageAccounts/blobServices/containers')
    .filter(({ names }) => names[0] === account.names[0])
    .map(({ names }) => names[2]!);
}

export const isSame = (a: Value | undefined, b: Value | undefined): boolean =>
  JSON.stringify(a) === JSON.stringify(b);

import { dependenciesOf } from '../bicep/check-file.ts';
import type { Planned, Rule } from '../infrastructure.ts';
import { functionAppOf } from './parts.ts';

export const orderRules: Record<string, Rule> = {
  'the app comes after all its roles and private endpoints': (planned) => {
    const before = dependenciesOf(planned.files.get('main.bicep')!, functionAppOf(planned).module);
    const needed = [
      ...planned.all('Microsoft.Authorization/roleAssignments'),
      ...planned.all('Microsoft.Network/privateEndpoints/privateDnsZoneGroups'),
    ].map(({ module }) => module);
    return [...new Set(needed)]
      .filter((module) => !before.has(module))
      .map((module) => `The app does not wait for ${module}`);
  },

  'the names of a private endpoint are set up after their zones are linked': (planned) =>
    waitsFor(planned, 'modules/private-endpoints.bicep', 'zoneGroups', ['zones', 'links', 'endpoints']),

  'lifecycle rules come after the containers that they name': (planned) => [
    ...waitsFor(planned, 'modules/host-storage.bicep', 'lifecycle', ['work']),
    ...waitsFor(planned, 'modules/data-storage.bicep', 'lifecycle', ['databases']),
  ],

  'sign-in comes after the settings that it names': (planned) =>
    waitsFor(planned, 'modules/app.bicep', 'signIn', ['settings']),
};

function waitsFor(planned: Planned, path: string, symbol: string, others: string[]): string[] {
  const file = planned.files.get(path);
  if (file === undefined) return [];
  const before = dependenciesOf(file, symbol);
  return others.filter((one) => !before.has(one)).map((one) => `${symbol} does not wait for ${one}`);
}

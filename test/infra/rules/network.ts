import { at, expectProperties, type Rule } from '../infrastructure.ts';
import { dataAccountOf, hostAccountOf, isSame } from './parts.ts';

const zones: Record<string, string> = {
  blob: 'privatelink.blob.core.windows.net',
  queue: 'privatelink.queue.core.windows.net',
  vault: 'privatelink.vaultcore.azure.net',
};

export const networkRules: Record<string, Rule> = {
  'a private deployment sends through its network, others have none': (planned) => {
    const networks = planned.all('Microsoft.Network/virtualNetworks');
    if (planned.variant.parameters['privateNetwork'] !== true) {
      const others = planned.resources.filter(({ type }) => type.startsWith('Microsoft.Network/'));
      return others.map(({ symbol }) => `${symbol} is not wanted`);
    }
    const [network] = networks;
    if (network === undefined) return ['There is no network'];
    return [
      ...expectProperties(network, {
        'properties.addressSpace.addressPrefixes': ['10.43.0.0/24'],
        'properties.subnets': [
          {
            name: 'app',
            properties: {
              addressPrefix: '10.43.0.0/26',
              delegations: [{ name: 'functions', properties: { serviceName: 'Microsoft.App/environments' } }],
            },
          },
          {
            name: 'endpoints',
            properties: { addressPrefix: '10.43.0.64/26', privateEndpointNetworkPolicies: 'Disabled' },
          },
        ],
      }),
    ];
  },

  'every service that the app calls has a private endpoint with its zone': (planned) => {
    if (planned.variant.parameters['privateNetwork'] !== true) return [];
    const network = planned.one('Microsoft.Network/virtualNetworks');
    const vaults = planned.all('Microsoft.KeyVault/vaults');
    const wanted = [
      [hostAccountOf(planned).id, 'blob'],
      [hostAccountOf(planned).id, 'queue'],
      [dataAccountOf(planned).id, 'blob'],
      ...vaults.map(({ id }) => [id, 'vault']),
    ];
    const endpoints = planned.all('Microsoft.Network/privateEndpoints');
    const groups = planned.all('Microsoft.Network/privateEndpoints/privateDnsZoneGroups');
    const found = endpoints.map((endpoint) => {
      const [connection] = at(endpoint, 'properties.privateLinkServiceConnections') as never as [
        { name?: string; properties: { privateLinkServiceId: string; groupIds: string[] } },
      ];
      if (connection.name === undefined) return [];
      return [connection.properties.privateLinkServiceId, ...connection.properties.groupIds];
    });
    const zoneNames = [...new Set(wanted.map(([, group]) => zones[group!]!))];
    const linksOf = (zone: string) =>
      planned
        .all('Microsoft.Network/privateDnsZones/virtualNetworkLinks')
        .filter(({ names, body }) => names[0] === zone && body['location'] === 'global')
        .map((link) => at(link, 'properties'));
    const link = { registrationEnabled: false, virtualNetwork: { id: network.id } };
    const zoneIds = new Map(
      planned
        .all('Microsoft.Network/privateDnsZones')
        .map(({ names, id, body }) => [names[0], body['location'] === 'global' ? id : '']),
    );
    return [
      ...(isSame(found, wanted) ? [] : [`There are endpoints for ${JSON.stringify(found)}`]),
      ...endpoints.flatMap((one) =>
        expectProperties(one, { 'properties.subnet.id': `${network.id}/subnets/endpoints` }),
      ),
      ...zoneNames
        .filter((zone) => !isSame(linksOf(zone), [link]))
        .map((zone) => `${zone} is not linked to the network`),
      ...endpoints.flatMap((endpoint, i) => {
        const group = groups.find(({ names }) => names[0] === endpoint.names[0]);
        const [, service] = found[i]!;
        const privateDnsZoneId = zoneIds.get(zones[service!]!);
        const expected = [{ name: service!, properties: { privateDnsZoneId } }];
        return group !== undefined && isSame(at(group, 'properties.privateDnsZoneConfigs'), expected)
          ? []
          : [`${endpoint.names[0]} is not in its zone`];
      }),
    ];
  },
};

// Private endpoints of storage and the vault, with the DNS zones that lead to them inside the virtual network.
@description('Region of the endpoints.')
param location string

@description('Tags of the endpoints.')
param tags object

@description('The virtual network that resolves the names.')
param networkId string

@description('The subnet of the endpoints.')
param subnetId string

@description('The account of the Functions host.')
param hostStorageId string

@description('The account of the database.')
param dataStorageId string

@description('The key vault; none if empty.')
param keyVaultId string

var blobZone = 'privatelink.blob.${environment().suffixes.storage}'
var queueZone = 'privatelink.queue.${environment().suffixes.storage}'
// learn.microsoft.com/azure/private-link/private-endpoint-dns
var vaultZone = 'privatelink.vaultcore.azure.net'
var vaultTargets = empty(keyVaultId) ? [] : [{ name: 'vault', resourceId: keyVaultId, groupId: 'vault', zone: vaultZone }]
var targets = concat(
  [
    { name: 'host-blob', resourceId: hostStorageId, groupId: 'blob', zone: blobZone }
    { name: 'host-queue', resourceId: hostStorageId, groupId: 'queue', zone: queueZone }
    { name: 'data-blob', resourceId: dataStorageId, groupId: 'blob', zone: blobZone }
  ],
  vaultTargets
)
var zoneNames = concat([blobZone, queueZone], empty(keyVaultId) ? [] : [vaultZone])

resource zones 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for zoneName in zoneNames: {
    name: zoneName
    location: 'global'
    tags: tags
  }
]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (zoneName, i) in zoneNames: {
    parent: zones[i]
    name: 'link-${uniqueString(networkId, zoneName)}'
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: { id: networkId }
    }
  }
]

resource endpoints 'Microsoft.Network/privateEndpoints@2025-05-01' = [
  for target in targets: {
    name: 'pe-${target.name}-${uniqueString(target.resourceId)}'
    location: location
    tags: tags
    properties: {
      subnet: { id: subnetId }
      privateLinkServiceConnections: [
        {
          name: target.name
          properties: {
            privateLinkServiceId: target.resourceId
            groupIds: [target.groupId]
          }
        }
      ]
    }
  }
]

resource zoneGroups 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-05-01' = [
  for (target, i) in targets: {
    parent: endpoints[i]
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [
        {
          name: target.groupId
          properties: { privateDnsZoneId: resourceId('Microsoft.Network/privateDnsZones', target.zone) }
        }
      ]
    }
    dependsOn: [zones, links]
  }
]

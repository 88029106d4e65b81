import { expectProperties, type Rule } from '../infrastructure.ts';

export const monitoringRules: Record<string, Rule> = {
  'logs and telemetry take tokens only, and are kept as chosen': (planned) => {
    const workspace = planned.one('Microsoft.OperationalInsights/workspaces');
    return [
      ...expectProperties(workspace, {
        'properties.sku.name': 'PerGB2018',
        'properties.retentionInDays': planned.variant.parameters['logRetentionDays'] ?? 30,
        'properties.features': { disableLocalAuth: true, enableLogAccessUsingOnlyResourcePermissions: true },
      }),
      ...expectProperties(planned.one('Microsoft.Insights/components'), {
        kind: 'web',
        'properties.Application_Type': 'web',
        'properties.DisableLocalAuth': true,
        'properties.WorkspaceResourceId': workspace.id,
      }),
    ];
  },

  'alerts have a receiver if one is given': (planned) => {
    const email = planned.variant.parameters['alertEmail'];
    const groups = planned.all('Microsoft.Insights/actionGroups');
    if (groups.length !== Number(email !== undefined)) return [`There are ${groups.length} action groups`];
    return groups.flatMap((group) =>
      expectProperties(group, {
        location: 'global',
        'properties.enabled': true,
        'properties.groupShortName': 'dvsync',
        'properties.emailReceivers': [{ name: 'email', emailAddress: email, useCommonAlertSchema: true }],
      }),
    );
  },
};

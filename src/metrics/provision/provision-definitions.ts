import type { MetricsSettings } from '../../config/metrics-settings.ts';
import {
  type CampaignMetricsField,
  type CampaignMetricsFieldName,
  campaignMetricsFields,
  campaignMetricsKey,
  maxInteger,
} from '../contract/campaign-metrics-fields.ts';
import { campaignMetricsColumns } from '../table/campaign-metrics-columns.ts';

/**
 * The definitions that make the table in Dataverse; learn.microsoft.com: Create and update table definitions
 * using the Web API, Create column definitions using the Web API, Work with alternate keys.
 */

/** English labels: every environment has that language or shows them as its base language's. */
const label = (text: string) => ({
  '@odata.type': 'Microsoft.Dynamics.CRM.Label',
  LocalizedLabels: [
    { '@odata.type': 'Microsoft.Dynamics.CRM.LocalizedLabel', Label: text, LanguageCode: 1033 },
  ],
});

/** The primary name column comes with the table; Dataverse makes none without. */
export const primaryName: CampaignMetricsFieldName = 'campaignId';

export function tableDefinition(settings: MetricsSettings): Record<string, unknown> {
  return {
    '@odata.type': 'Microsoft.Dynamics.CRM.EntityMetadata',
    SchemaName: settings.table,
    EntitySetName: settings.entitySet,
    DisplayName: label('Campaign Metrics'),
    DisplayCollectionName: label('Campaign Metrics'),
    Description: label('What the phases of campaign runs cost and achieved.'),
    // No row belongs to a person, and delta reading needs the right to read the whole table anyway.
    OwnershipType: 'OrganizationOwned',
    IsActivity: false,
    HasActivities: false,
    HasNotes: false,
    ChangeTrackingEnabled: true,
    Attributes: [{ ...columnDefinition(settings, primaryName), IsPrimaryName: true }],
  };
}

export function columnDefinition(
  settings: MetricsSettings,
  name: CampaignMetricsFieldName,
): Record<string, unknown> {
  const field: CampaignMetricsField = campaignMetricsFields[name];
  const isKey = campaignMetricsKey.some((part) => part === name);
  return {
    '@odata.type': `Microsoft.Dynamics.CRM.${columnType(field)}AttributeMetadata`,
    SchemaName: campaignMetricsColumns(settings).column[name],
    DisplayName: label(displayName(name)),
    Description: label(field.description),
    RequiredLevel: {
      Value: isKey ? 'ApplicationRequired' : 'None',
      CanBeChanged: true,
      ManagedPropertyLogicalName: 'canmodifyrequirementlevelsettings',
    },
    ...details(field),
  };
}

/** The prefix of `…AttributeMetadata`, which is also what `AttributeType` says. */
export function columnType(field: CampaignMetricsField): 'String' | 'Integer' | 'Decimal' | 'DateTime' {
  return ({ text: 'String', integer: 'Integer', decimal: 'Decimal', time: 'DateTime' } as const)[field.kind];
}

export function keyDefinition(settings: MetricsSettings): Record<string, unknown> {
  return {
    SchemaName: `${settings.prefix}campaignrunphase`,
    DisplayName: label('Campaign, run and phase'),
    KeyAttributes: keyColumns(settings),
  };
}

export function keyColumns(settings: MetricsSettings): string[] {
  const { column } = campaignMetricsColumns(settings);
  return campaignMetricsKey.map((name) => column[name]);
}

function details(field: CampaignMetricsField): Record<string, unknown> {
  switch (field.kind) {
    case 'text':
      return { MaxLength: field.maxLength, FormatName: { Value: 'Text' } };
    case 'integer':
      return { MinValue: 0, MaxValue: maxInteger, Format: 'None' };
    case 'decimal':
      return { MinValue: 0, MaxValue: field.max, Precision: field.places };
    case 'time':
      // Stored in UTC; `UserLocal` is only how forms show it.
      return { Format: 'DateAndTime', DateTimeBehavior: { Value: 'UserLocal' } };
  }
}

/** `latencyP95Ms` → `Latency P95 Ms` */
function displayName(name: string): string {
  const words = name.replace(/([a-z\d])([A-Z])/g, '$1 $2').replace(/([a-z])(P\d)/, '$1 $2');
  return words[0]!.toUpperCase() + words.slice(1);
}

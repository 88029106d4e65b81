import type { MetricsSettings } from '../../config/metrics-settings.ts';
import type { Row } from '../../dataverse/transport/reply.ts';
import {
  type CampaignMetricsField,
  type CampaignMetricsFieldName,
  campaignMetricsFields,
  campaignMetricsKey,
  maxInteger,
} from '../contract/campaign-metrics-fields.ts';
import { campaignMetricsColumns } from '../table/campaign-metrics-columns.ts';

/**
 * The definitions of the table, its columns and its key; learn.microsoft.com: Create and update table
 * definitions using the Web API, Create column definitions using the Web API, Work with alternate keys.
 */

/** Dataverse creates a table only together with its primary name column. */
export const primaryName: CampaignMetricsFieldName = 'campaignId';

export function tableDefinition(settings: MetricsSettings): Row {
  return {
    '@odata.type': 'Microsoft.Dynamics.CRM.EntityMetadata',
    SchemaName: settings.table,
    EntitySetName: settings.entitySet,
    DisplayName: label('Campaign Metrics'),
    DisplayCollectionName: label('Campaign Metrics'),
    Description: label('What the phases of campaign runs cost and achieved.'),
    // The rows have no owner, and change tracking requires read access to the whole table anyway.
    OwnershipType: 'OrganizationOwned',
    IsActivity: false,
    HasActivities: false,
    HasNotes: false,
    ChangeTrackingEnabled: true,
    Attributes: [{ ...columnDefinition(settings, primaryName), IsPrimaryName: true }],
  };
}

export function columnDefinition(settings: MetricsSettings, name: CampaignMetricsFieldName): Row {
  const field = campaignMetricsFields[name];
  const isKey = campaignMetricsKey.some((part) => part === name);
  return {
    '@odata.type': `Microsoft.Dynamics.CRM.${columnTypes[field.kind]}AttributeMetadata`,
    SchemaName: campaignMetricsColumns(settings).column[name],
    DisplayName: label(displayName(name)),
    Description: label(field.description),
    RequiredLevel: {
      Value: isKey ? 'ApplicationRequired' : 'None',
      CanBeChanged: true,
      ManagedPropertyLogicalName: 'canmodifyrequirementlevelsettings',
    },
    ...limits(field),
  };
}

export function keyDefinition(settings: MetricsSettings): Row {
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

/** `AttributeType` of a column by the kind of its field; also the prefix of `…AttributeMetadata`. */
export const columnTypes = {
  text: 'String',
  integer: 'Integer',
  decimal: 'Decimal',
  time: 'DateTime',
} as const;

function limits(field: CampaignMetricsField): Row {
  switch (field.kind) {
    case 'text':
      return { MaxLength: field.maxLength, FormatName: { Value: 'Text' } };
    case 'integer':
      return { MinValue: 0, MaxValue: maxInteger, Format: 'None' };
    case 'decimal':
      return { MinValue: 0, MaxValue: field.max, Precision: field.places };
    case 'time':
      // Stored in UTC; `UserLocal` only changes how forms display it.
      return { Format: 'DateAndTime', DateTimeBehavior: { Value: 'UserLocal' } };
  }
}

/** An English label (1033); an environment without English shows it for its base language. */
function label(text: string): Row {
  return {
    '@odata.type': 'Microsoft.Dynamics.CRM.Label',
    LocalizedLabels: [
      { '@odata.type': 'Microsoft.Dynamics.CRM.LocalizedLabel', Label: text, LanguageCode: 1033 },
    ],
  };
}

/** `latencyP95Ms` → `Latency P95 Ms` */
function displayName(name: string): string {
  const words = name.replace(/([a-z\d])([A-Z])/g, '$1 $2').replace(/([a-z])(P\d)/, '$1 $2');
  return words[0]!.toUpperCase() + words.slice(1);
}

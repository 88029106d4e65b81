import { label, metadataId, noLabel, option } from './labels.ts';
import type { MetadataItem } from './metadata-item.ts';
import type { Column, Table } from './model.ts';

/** The columns of a table as `AttributeMetadata` items. */
export function attributeItems(table: Table): MetadataItem[] {
  return table.columns.map((column) => attributeItem(table, column));
}

/** The kinds of `SourceType`, from 1. */
const sourceTypes = ['calculated', 'rollup', 'formula'] as const;

function attributeItem(table: Table, column: Column): MetadataItem {
  const kind = attributeKind(table, column);
  const properties: Record<string, unknown> = {
    MetadataId: metadataId(
      table.logicalName,
      column.logicalName,
      ...(column.incarnation === undefined ? [] : [column.incarnation]),
    ),
    LogicalName: column.logicalName,
    SchemaName: column.schemaName ?? column.logicalName,
    EntityLogicalName: table.logicalName,
    AttributeType: kind,
    AttributeTypeName: { Value: `${kind}Type` },
    AttributeOf: null,
    IsPrimaryId: column.name === table.primaryId,
    IsPrimaryName: column.name === table.primaryName,
    IsCustomAttribute: column.logicalName.includes('_'),
    IsLogical: false,
    SourceType: column.source === undefined ? 0 : sourceTypes.indexOf(column.source) + 1,
    IsSecured: column.secured !== undefined,
    IsValidForRead: true,
    IsValidForODataAttribute: true,
    IsValidForCreate: column.readOnly !== true,
    IsValidForUpdate: column.readOnly !== true && column.name !== table.primaryId,
    DisplayName: label(column.displayName ?? column.logicalName),
    Description: column.description === undefined ? noLabel : label(column.description),
  };
  if (column.targets !== undefined) {
    // The service lists the concrete tables of an owner and not their abstract base.
    properties['Targets'] = column.targets.flatMap(({ table: name }) =>
      name === 'principal' ? ['systemuser', 'team'] : [name],
    );
  }
  if (kind === 'String' || kind === 'Memo') properties['MaxLength'] = column.maxLength ?? 100;
  Object.assign(properties, numberLimits(kind, column));
  return {
    type: `${kind}AttributeMetadata`,
    properties,
    navigations:
      column.choice === undefined
        ? {}
        : { OptionSet: () => optionSetItem(table, column), GlobalOptionSet: () => null },
  };
}

/** The limits of a number column that follow from its precision and scale. */
function numberLimits(kind: string, column: Column): Record<string, number> {
  switch (kind) {
    case 'Integer':
      return { MinValue: -2_147_483_648, MaxValue: 2_147_483_647 };
    case 'Decimal':
    case 'Money': {
      const scale = column.scale ?? 2;
      const whole = 10 ** Math.min(15, (column.precision ?? 23) - scale);
      const limit = Number((whole - 10 ** -scale).toFixed(scale));
      return { Precision: scale, MinValue: -limit, MaxValue: limit };
    }
    case 'Double':
      return { Precision: 5, MinValue: -1e11, MaxValue: 1e11 };
    default:
      return {};
  }
}

function attributeKind(table: Table, column: Column): string {
  if (column.file) return 'File';
  if (column.targets !== undefined) return lookupKind(column);
  if (column.name === table.primaryId || column.name === table.key) return 'Uniqueidentifier';
  switch (column.choice?.kind) {
    case 'choice':
      return 'Picklist';
    case 'multichoice':
      return 'MultiSelectPicklist';
    case 'state':
      return 'State';
    case 'status':
      return 'Status';
    case 'boolean':
      return 'Boolean';
  }
  if (column.type === 'Edm.Decimal') return column.precision === 23 ? 'Money' : 'Decimal';
  if (column.type === 'Edm.String' && (column.maxLength ?? 0) > 4000) return 'Memo';
  return attributeKinds[column.type] ?? 'String';
}

const attributeKinds: Record<string, string> = {
  'Edm.Boolean': 'Boolean',
  'Edm.Guid': 'Uniqueidentifier',
  'Edm.Int32': 'Integer',
  'Edm.Int64': 'BigInt',
  'Edm.Double': 'Double',
  'Edm.Date': 'DateTime',
  'Edm.DateTimeOffset': 'DateTime',
  'Edm.Binary': 'Image',
  'mscrm.BooleanManagedProperty': 'ManagedProperty',
};

function lookupKind(column: Column): string {
  if (column.logicalName === 'ownerid') return 'Owner';
  return /customerid$/.test(column.logicalName) ? 'Customer' : 'Lookup';
}

function optionSetItem(table: Table, column: Column): MetadataItem {
  const { kind, options } = column.choice!;
  const shown = options.map(option);
  const properties: Record<string, unknown> = {
    MetadataId: metadataId(table.logicalName, column.logicalName, 'options'),
    Name: `${table.logicalName}_${column.logicalName}`,
    IsGlobal: false,
  };
  if (kind === 'boolean') Object.assign(properties, { FalseOption: shown[0], TrueOption: shown[1] });
  else properties['Options'] = shown;
  return {
    type: kind === 'boolean' ? 'BooleanOptionSetMetadata' : 'OptionSetMetadata',
    properties,
    navigations: {},
  };
}

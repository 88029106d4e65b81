import type { Row } from '../client/table-definition.ts';

/** A text, for the language 1033 (English), or texts by language code: `{ 1033: 'Project', 1030: 'Projekt' }`. */
export type LabelText = string | Readonly<Record<number, string>>;

interface ColumnBase {
  /** With the publisher's prefix: `new_Budget`. Its logical name is the same in lower case. */
  schemaName: string;
  displayName: LabelText;
  description?: LabelText | undefined;
  /** @default 'none' */
  required?: 'none' | 'recommended' | 'required' | undefined;
}

/** An option of a choice. Without a value, Dataverse assigns one with the publisher's prefix. */
export interface ChoiceOption {
  value?: number | undefined;
  label: LabelText;
}

/** A column to create. Its lookups are relationships: see `createLookup`. */
export type ColumnDefinition = ColumnBase &
  (
    | { type: 'text'; maxLength?: number; format?: 'Text' | 'TextArea' | 'Email' | 'Url' | 'Phone' }
    | { type: 'memo'; maxLength?: number }
    | { type: 'integer'; min?: number; max?: number }
    | { type: 'bigint' }
    | { type: 'decimal'; precision?: number; min?: number; max?: number }
    | { type: 'double'; precision?: number; min?: number; max?: number }
    | { type: 'money'; precision?: number; min?: number; max?: number }
    | { type: 'boolean'; yes?: LabelText; no?: LabelText; defaultValue?: boolean }
    | { type: 'date' }
    | { type: 'datetime'; behavior?: 'UserLocal' | 'TimeZoneIndependent' }
    /** One of some options, or several of them. `options` belong to the column, `globalChoice` names a shared list. */
    | { type: 'choice' | 'choices'; options: readonly ChoiceOption[] }
    | { type: 'choice' | 'choices'; globalChoice: string }
    | { type: 'file'; maxKilobytes?: number }
    | { type: 'image'; maxKilobytes?: number; fullSize?: boolean }
  );

export interface NewTable {
  /** With the publisher's prefix: `new_Project`. Its logical name is the same in lower case. */
  schemaName: string;
  displayName: LabelText;
  displayCollectionName: LabelText;
  description?: LabelText | undefined;
  /** The text column that names a row. */
  primaryColumn: { schemaName: string; displayName: LabelText; maxLength?: number | undefined };
  /** Further columns. */
  columns?: readonly ColumnDefinition[] | undefined;
  /** @default 'UserOwned' */
  ownership?: 'UserOwned' | 'OrganizationOwned' | undefined;
  /** @default false */
  changeTracking?: boolean | undefined;
  /** Further properties of EntityMetadata, as the Web API names them. */
  properties?: Row | undefined;
}

/** The text as `Label` (learn.microsoft.com: "Label ComplexType"). */
export function label(text: LabelText): Row {
  const labels = typeof text === 'string' ? [[1033, text] as const] : Object.entries(text);
  return {
    '@odata.type': 'Microsoft.Dynamics.CRM.Label',
    LocalizedLabels: labels.map(([language, each]) => ({
      '@odata.type': 'Microsoft.Dynamics.CRM.LocalizedLabel',
      Label: each,
      LanguageCode: Number(language),
    })),
  };
}

/** learn.microsoft.com: "Create and update table definitions using the Web API". */
export function tableDefinition(table: NewTable): Row {
  const { schemaName, displayName, maxLength } = table.primaryColumn;
  const primary = columnDefinition({ type: 'text', schemaName, displayName, maxLength: maxLength ?? 100 });
  return {
    '@odata.type': 'Microsoft.Dynamics.CRM.EntityMetadata',
    SchemaName: table.schemaName,
    DisplayName: label(table.displayName),
    DisplayCollectionName: label(table.displayCollectionName),
    Description: label(table.description ?? ''),
    OwnershipType: table.ownership ?? 'UserOwned',
    IsActivity: false,
    HasActivities: false,
    HasNotes: false,
    ChangeTrackingEnabled: table.changeTracking === true,
    Attributes: [{ ...primary, IsPrimaryName: true }, ...(table.columns ?? []).map(columnDefinition)],
    ...table.properties,
  };
}

const types = {
  text: 'String',
  memo: 'Memo',
  integer: 'Integer',
  bigint: 'BigInt',
  decimal: 'Decimal',
  double: 'Double',
  money: 'Money',
  boolean: 'Boolean',
  date: 'DateTime',
  datetime: 'DateTime',
  choice: 'Picklist',
  choices: 'MultiSelectPicklist',
  file: 'File',
  image: 'Image',
} as const;

const levels = { none: 'None', recommended: 'Recommended', required: 'ApplicationRequired' } as const;

/** learn.microsoft.com: "Create and update column definitions using the Web API". */
export function columnDefinition(column: ColumnDefinition): Row {
  return {
    '@odata.type': `Microsoft.Dynamics.CRM.${types[column.type]}AttributeMetadata`,
    SchemaName: column.schemaName,
    DisplayName: label(column.displayName),
    Description: label(column.description ?? ''),
    RequiredLevel: {
      Value: levels[column.required ?? 'none'],
      CanBeChanged: true,
      ManagedPropertyLogicalName: 'canmodifyrequirementlevelsettings',
    },
    ...propertiesOf(column),
  };
}

function propertiesOf(column: ColumnDefinition): Row {
  switch (column.type) {
    case 'text':
      return { MaxLength: column.maxLength ?? 100, FormatName: { Value: column.format ?? 'Text' } };
    case 'memo':
      return { MaxLength: column.maxLength ?? 2000, Format: 'TextArea' };
    case 'integer':
      return { Format: 'None', ...limits(column.min ?? -2_147_483_648, column.max ?? 2_147_483_647) };
    case 'bigint':
      return {};
    case 'decimal':
    case 'money':
    case 'double':
      return { Precision: column.precision ?? 2, ...limits(column.min, column.max) };
    case 'boolean':
      return {
        DefaultValue: column.defaultValue === true,
        OptionSet: {
          TrueOption: { Value: 1, Label: label(column.yes ?? 'Yes') },
          FalseOption: { Value: 0, Label: label(column.no ?? 'No') },
          OptionSetType: 'Boolean',
        },
      };
    case 'date':
      return { Format: 'DateOnly', DateTimeBehavior: { Value: 'DateOnly' } };
    case 'datetime':
      return { Format: 'DateAndTime', DateTimeBehavior: { Value: column.behavior ?? 'UserLocal' } };
    case 'choice':
    case 'choices':
      return choiceProperties(column);
    case 'file':
      return { MaxSizeInKB: column.maxKilobytes ?? 32_768 };
    case 'image':
      return { MaxSizeInKB: column.maxKilobytes ?? 10_240, CanStoreFullImage: column.fullSize === true };
  }
}

function limits(min: number | undefined, max: number | undefined): Row {
  return { ...(min === undefined ? {} : { MinValue: min }), ...(max === undefined ? {} : { MaxValue: max }) };
}

function choiceProperties(column: { options: readonly ChoiceOption[] } | { globalChoice: string }): Row {
  if ('globalChoice' in column) {
    const path = `/GlobalOptionSetDefinitions(Name='${column.globalChoice.replaceAll("'", "''")}')`;
    return { 'GlobalOptionSet@odata.bind': path };
  }
  return {
    OptionSet: { '@odata.type': 'Microsoft.Dynamics.CRM.OptionSetMetadata', ...optionsOf(column.options) },
  };
}

/** The options of a choice, its own or a shared one. */
export function optionsOf(options: readonly ChoiceOption[], isGlobal = false): Row {
  return {
    IsGlobal: isGlobal,
    OptionSetType: 'Picklist',
    Options: options.map(({ value = null, label: text }) => ({ Value: value, Label: label(text) })),
  };
}

import type { ChoiceMetadata } from '../../dataverse/metadata/choice-metadata.ts';
import type { Choice } from '../../dataverse/metadata/choices.ts';

interface OptionSet {
  /** Of a global choice, its name. */
  Name?: string | null;
  IsGlobal?: boolean | null;
  Options?: Option[] | null;
  TrueOption?: Option | null;
  FalseOption?: Option | null;
}
interface Option {
  Value?: number | null;
  Label?: { LocalizedLabels?: LocalizedLabel[] | null; UserLocalizedLabel?: LocalizedLabel | null } | null;
}
interface LocalizedLabel {
  Label?: string;
  LanguageCode?: number;
}
type Definitions = Pick<ChoiceMetadata, 'columns'>;

/**
 * The labels in the definitions of choice columns, of a column's own choices and of shared ones
 * (learn.microsoft.com: Query table definitions using the Web API).
 * @param shared global choices by name, for columns that only name theirs
 */
export function labelsOf(
  { columns }: Definitions,
  shared: ReadonlyMap<string, object> = new Map(),
): Choice[] {
  return columns.flatMap(({ table, definitions }) =>
    definitions.flatMap((definition) => {
      const { LogicalName: column } = definition;
      if (typeof column !== 'string') return [];
      const own = setsOf(definition);
      const named = own.flatMap(({ Name: name }) => (name ? ((shared.get(name) as OptionSet) ?? []) : []));
      const options = [...own, ...named].flatMap(optionsOf);
      return options.flatMap((option) => textsOf(option).map((text): Choice => ({ table, column, ...text })));
    }),
  );
}

/** The names of global choices whose options the definitions of the columns lack. */
export function namedGlobalChoices({ columns }: Definitions): string[] {
  const names = columns.flatMap(({ definitions }) =>
    definitions.flatMap((definition) => {
      const sets = setsOf(definition);
      if (sets.some((set) => optionsOf(set).length > 0)) return [];
      return sets.flatMap(({ Name: name, IsGlobal: isGlobal }) => (isGlobal && name ? [name] : []));
    }),
  );
  return [...new Set(names)].sort();
}

/** A column has choices of its own, or shared ones. One of both may be there without options. */
function setsOf(definition: Record<string, unknown>): OptionSet[] {
  const { OptionSet: own, GlobalOptionSet: shared } = definition;
  return [own, shared].filter((set): set is OptionSet => typeof set === 'object' && set !== null);
}

/** The user's label is there even if the list of all languages is empty, as with some virtual tables. */
function textsOf({ Value: value, Label: label }: Option): Omit<Choice, 'table' | 'column'>[] {
  if (typeof value !== 'number') return [];
  const { LocalizedLabels: all, UserLocalizedLabel: own } = label ?? {};
  return [...(all ?? []), ...(own ? [own] : [])].flatMap(({ Label: text, LanguageCode: language }) =>
    typeof text === 'string' && text !== '' && typeof language === 'number'
      ? [{ value, label: text, language }]
      : [],
  );
}

/** A yes-no column has its two options in members of their own. */
function optionsOf(set: OptionSet): Option[] {
  return [...(set.Options ?? []), set.FalseOption, set.TrueOption].filter(
    (option) => option !== null && option !== undefined,
  );
}

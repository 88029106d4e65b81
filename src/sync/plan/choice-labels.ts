import type { ChoiceMetadata } from '../../dataverse/metadata/choice-metadata.ts';
import type { Choice } from '../../dataverse/metadata/choices.ts';

interface OptionSet {
  Options?: Option[] | null;
  TrueOption?: Option | null;
  FalseOption?: Option | null;
}
interface Option {
  Value?: number | null;
  Label?: { LocalizedLabels?: { Label?: string; LanguageCode?: number }[] | null } | null;
}

/**
 * The labels in the definitions of choice columns, of a column's own choices and of shared ones
 * (learn.microsoft.com: Query table definitions using the Web API).
 */
export function labelsOf({ columns }: Pick<ChoiceMetadata, 'columns'>): Choice[] {
  return columns.flatMap(({ table, definitions }) =>
    definitions.flatMap(({ LogicalName: column, OptionSet: own, GlobalOptionSet: shared }) => {
      if (typeof column !== 'string') return [];
      const options = optionsOf((own ?? shared) as OptionSet | null | undefined);
      return options.flatMap((option) => textsOf(option).map((text): Choice => ({ table, column, ...text })));
    }),
  );
}

function textsOf({ Value: value, Label: label }: Option): Omit<Choice, 'table' | 'column'>[] {
  if (typeof value !== 'number') return [];
  return (label?.LocalizedLabels ?? []).flatMap(({ Label: text, LanguageCode: language }) =>
    typeof text === 'string' && typeof language === 'number' ? [{ value, label: text, language }] : [],
  );
}

/** A yes-no column has its two options in members of their own. */
function optionsOf(set: OptionSet | null | undefined): Option[] {
  return [...(set?.Options ?? []), set?.FalseOption, set?.TrueOption].filter(
    (option) => option !== null && option !== undefined,
  );
}

import { Random } from '../rows/random.ts';
import { danish } from './danish.ts';
import type { ChoiceOption } from './model.ts';

/** The languages of the organization: English, its base language, and Danish. */
export const languages = [1033, 1030] as const;

/** Each request for metadata names thousands of items. */
const ids = new Map<string, string>();

/** The id of a metadata item, the same at each start. */
export function metadataId(...path: string[]): string {
  const key = path.join('/');
  let id = ids.get(key);
  if (id === undefined) {
    id = new Random(7, key).guid();
    ids.set(key, id);
  }
  return id;
}

/** A label in one of the languages; what has no translation is marked as Danish. */
export function labelIn(language: number, text: string): string {
  return language === 1033 ? text : (danish[text] ?? `${text} (da)`);
}

/** A label as the metadata service returns it, in all languages. */
export function label(text: string): Record<string, unknown> {
  const labels = languages.map((language) => ({
    Label: labelIn(language, text),
    LanguageCode: language,
    IsManaged: false,
    MetadataId: metadataId('label', String(language), text),
    HasChanged: null,
  }));
  return { LocalizedLabels: labels, UserLocalizedLabel: labels[0] };
}

/** A text that nobody has entered. */
export const noLabel = { LocalizedLabels: [], UserLocalizedLabel: null };

export function option(choice: ChoiceOption): Record<string, unknown> {
  const shown: Record<string, unknown> = {
    Value: choice.value,
    Color: null,
    IsManaged: false,
    ExternalValue: null,
    ParentValues: [],
    Tag: null,
    IsHidden: false,
    MetadataId: null,
    HasChanged: null,
    Label: label(choice.label),
    Description: noLabel,
  };
  if (choice.state !== undefined) Object.assign(shown, { State: choice.state, TransitionData: null });
  return shown;
}

/** A text of a definition in the languages that it has (learn.microsoft.com: Label ComplexType). */
export interface Label {
  /** In the language that was asked for, or else in that of the user. */
  own: string | undefined;
  /** In each language; empty if the text is there in the language that was asked for. */
  all: { language: number; text: string }[];
}

/**
 * @param language the only one that is wanted: the others of many languages would take most of the memory of definitions
 * @returns undefined if the text is empty in every language, or the value is not a label
 */
export function labelOf(value: unknown, language?: number): Label | undefined {
  const { UserLocalizedLabel: own, LocalizedLabels: all } = Object(value) as Record<string, unknown>;
  const texts = (Array.isArray(all) ? all : []).flatMap((one) => {
    const { Label: label, LanguageCode: code } = Object(one) as Record<string, unknown>;
    const text = textOf(label);
    return text !== undefined && Number.isSafeInteger(code) ? [{ language: Number(code), text }] : [];
  });
  const wanted = texts.find((one) => language !== undefined && one.language === language)?.text;
  if (wanted !== undefined) return { own: wanted, all: [] };
  const ownText = textOf((Object(own) as Record<string, unknown>)['Label']);
  return ownText === undefined && texts.length === 0 ? undefined : { own: ownText, all: texts };
}

/** The text in a language; if it has none in that language, or the language is not known, in the user's or the first one. */
export function textIn(label: Label | undefined, language?: number): string | undefined {
  const found = label?.all.find((one) => one.language === language)?.text;
  return found ?? label?.own ?? label?.all[0]?.text;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value.trim() !== '' ? value.toWellFormed() : undefined;
}

/** The languages that names of people and companies come from. */
export type Language =
  | 'cs'
  | 'da'
  | 'de'
  | 'el'
  | 'en'
  | 'es'
  | 'fi'
  | 'fr'
  | 'hi'
  | 'it'
  | 'ja'
  | 'nl'
  | 'no'
  | 'pl'
  | 'pt'
  | 'sv'
  | 'tr'
  | 'uk';

/** A word and its spelling in URLs and e-mail addresses. */
export interface Word {
  text: string;
  ascii: string;
}

/** Reads `Anna, Søren, 美咲/Misaki`. A word in another alphabet is followed by its Latin spelling. */
export function words(list: string): Word[] {
  return list.split(',').map((item) => {
    const [text = '', reading = text] = item.trim().split('/');
    return { text, ascii: asciiOf(reading) };
  });
}

const letters: Record<string, string> = { ø: 'o', æ: 'ae', ß: 'ss', ł: 'l', đ: 'd', ı: 'i' };

/** `Łukasz Ćosić` → `lukasz-cosic` */
export function asciiOf(text: string): string {
  return text
    .normalize('NFD')
    .toLowerCase()
    .replace(/[øæßłđı]/g, (letter) => letters[letter]!)
    .replace(/[^a-z0-9 -]/g, '')
    .trim()
    .replace(/[ -]+/g, '-');
}

import { expect, it } from 'vitest';
import { labelOf, textIn } from '../../../src/dataverse/metadata/label.ts';

it('the text of a label is that in the language, or else that of the user, or the first one', () => {
  const label = {
    own: 'Firma',
    all: [
      { language: 1033, text: 'Account' },
      { language: 1030, text: 'Firma' },
    ],
  };
  expect(textIn(label, 1033)).toBe('Account');
  expect(textIn(label, 1031)).toBe('Firma');
  expect(textIn({ ...label, own: undefined }, 1031)).toBe('Account');
  expect(textIn(undefined, 1033)).toBeUndefined();
});

it('reads labels as Dataverse sends them, and nothing else', () => {
  const entry = (Label: unknown, LanguageCode: unknown) => ({ Label, LanguageCode });
  expect(
    labelOf({ LocalizedLabels: [entry('A', 1033), entry(' ', 1030), entry(5, 1031), entry('B', 'x'), null] }),
  ).toEqual({ own: undefined, all: [{ language: 1033, text: 'A' }] });
  expect(labelOf({ UserLocalizedLabel: entry('A\ud800', 1033), LocalizedLabels: [] })).toEqual({
    ...{ own: 'A\ufffd', all: [] },
  });
  for (const value of [undefined, null, 'text', 5, [], { LocalizedLabels: [], UserLocalizedLabel: null }]) {
    expect(labelOf(value)).toBeUndefined();
  }
});

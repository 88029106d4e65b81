import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { commandEnvironment } from '../../src/commands/command-environment.ts';
import { readEntities } from '../../src/config/entities.ts';
import { readLocalSettings } from '../../src/config/local-settings-file.ts';
import { decodeText } from '../../src/config/read-text.ts';
import { ConfigurationError } from '../../src/errors.ts';

const folder = mkdtempSync(join(tmpdir(), 'text-'));
afterAll(() => rmSync(folder, { recursive: true }));

const utf16 = (text: string, endian: 'LE' | 'BE'): Buffer => {
  const bytes = Buffer.from(text, 'utf16le');
  return endian === 'LE' ? bytes : bytes.swap16();
};
const bom = '\uFEFF';
/** As editors and shells on several systems save a text. */
const encodings: [string, (text: string) => Buffer][] = [
  ['UTF-8', (text) => Buffer.from(text)],
  ['UTF-8 with a byte order mark', (text) => Buffer.from(bom + text)],
  ['UTF-8 with CRLF', (text) => Buffer.from(text.replaceAll('\n', '\r\n'))],
  ['UTF-16 LE', (text) => utf16(bom + text, 'LE')],
  ['UTF-16 LE without a mark', (text) => utf16(text, 'LE')],
  ['UTF-16 BE', (text) => utf16(bom + text, 'BE')],
  ['UTF-16 BE without a mark', (text) => utf16(text, 'BE')],
];

describe.each(encodings)('a file in %s', (_, encode) => {
  it('is read', () => {
    expect(decodeText(encode('{\n"ø": "æ"\n}')).replaceAll('\r', '')).toBe('{\n"ø": "æ"\n}');
    writeFileSync(join(folder, 'entities.json'), encode('[\n"account",\n"contact"\n]\n'));
    expect(readEntities(join(folder, 'entities.json')).map(({ name }) => name)).toEqual([
      'account',
      'contact',
    ]);
    writeFileSync(join(folder, 'local.settings.json'), encode('{\n"Values": { "A": "å" }\n}\n'));
    expect(commandEnvironment({ folder, env: { B: '1' } })).toEqual({ A: 'å', B: '1' });
  });
});

describe('local.settings.json', () => {
  const path = join(folder, 'local.settings.json');
  const read = (text: string) => {
    writeFileSync(path, text);
    return readLocalSettings(path);
  };

  it('may be absent or without values, and takes numbers and truth values as text', () => {
    expect(readLocalSettings(join(folder, 'none.json'))).toEqual({});
    expect(read('{}')).toEqual({});
    expect(read('{"Values": {"SYNC_SLICE_SECONDS": 60, "A": true, "B": null}}')).toEqual({
      SYNC_SLICE_SECONDS: '60',
      A: 'true',
    });
  });

  it.each([
    ['{"Values": []}', 'must have an object as "Values"'],
    ['{"Values": "x"}', 'must have an object as "Values"'],
    ['{"Values": {"A": ["secret"]}}', 'must have a text as the value of A'],
    ['{"Values":\n{"A": "secret", }}', 'is not valid JSON (line 2)'],
    ['', 'is not valid JSON'],
  ])('%s is rejected with what is expected, and without a value', (text, expected) => {
    const attempt = () => read(text);
    expect(attempt).toThrow(ConfigurationError);
    expect(attempt).toThrow(expected);
    expect(attempt).not.toThrow('secret');
  });
});

import { ConfigurationError } from '../errors.ts';
import { readTextFile } from './read-text.ts';

/**
 * The `Values` of a local.settings.json; empty if the file does not exist. Numbers and truth values count as their text,
 * as with Core Tools.
 * @throws ConfigurationError if the file is not valid; the message quotes no value
 */
export function readLocalSettings(path: string): Record<string, string> {
  let text: string;
  try {
    text = readTextFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
  const invalid = (what: string): ConfigurationError =>
    new ConfigurationError(`${path} ${what}.`, {
      operation: 'read the app settings',
      object: path,
      hint: 'Compare it with local.settings.json.example.',
    });
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    // The parser's message quotes the text around the mistake, which may be a secret.
    const position = /position (\d+)/.exec((error as SyntaxError).message)?.[1];
    const line = text.slice(0, Number(position ?? 0)).split('\n').length;
    throw invalid(`is not valid JSON${position === undefined ? '' : ` (line ${line})`}`);
  }
  const values = (content as { Values?: unknown } | null)?.Values ?? {};
  if (typeof values !== 'object' || Array.isArray(values)) throw invalid('must have an object as "Values"');
  const settings: Record<string, string> = {};
  for (const [name, value] of Object.entries(values)) {
    if (value === null) continue;
    if (typeof value === 'object') throw invalid(`must have a text as the value of ${name}`);
    settings[name] = String(value);
  }
  return settings;
}

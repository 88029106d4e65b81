// Runs before `azd provision`: refuses what azd would leave out without a word. Where the text of a number or a truth value
// cannot be read, azd takes the parameter's default (github.com/Azure/azure-dev, armParameterFileValue), so
// SYNC_PRIVATE_NETWORK=yes would deploy storage that is open to the public network.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Problem, runHook } from './parts/tools.mjs';

/** What azd reads as a value of a type: strconv.ParseInt and strconv.ParseBool of Go. */
const readable = {
  int: { pattern: /^[+-]?\d+$/, what: 'a whole number' },
  bool: { pattern: /^(?:1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)$/, what: 'true or false' },
};

await runHook(async () => {
  const read = (path) => readFileSync(resolve(import.meta.dirname, '..', path), 'utf8');
  const { parameters } = JSON.parse(read('main.parameters.json'));
  const faults = [...read('main.bicep').matchAll(/^param (\w+) (int|bool)\b/gm)].flatMap(([, name, type]) => {
    const variable = parameters[name].value.slice(2, -1);
    const text = process.env[variable] ?? '';
    const { pattern, what } = readable[type];
    return text === '' || pattern.test(text) ? [] : [`${variable} must be ${what}, not "${text}".`];
  });
  if (faults.length > 0) throw new Problem(faults.join('\n'), 'Correct it with `azd env set`.');
});

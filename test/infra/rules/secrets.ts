import { walk } from '../bicep/check-file.ts';
import { type BicepFile, bodyOf, type Expression, entryOf } from '../bicep/syntax.ts';
import type { Planned, Rule } from '../infrastructure.ts';

/** The parameters that may hold a secret: the app settings that people add. All others are in the deployment history. */
const secureParameters = ['main.bicep: extraSettings', 'modules/app.bicep: extraSettings'];

export const secretRules: Record<string, Rule> = {
  'no template handles a secret': (planned) => secretsIn(planned),

  'settings that people add are not in the deployment history': ({ files }) => {
    const found = [...files].flatMap(([path, file]) => securesOf(file).map((name) => `${path}: ${name}`));
    return [
      ...secureParameters.filter((one) => !found.includes(one)).map((one) => `${one} must be @secure()`),
      ...found.filter((one) => !secureParameters.includes(one)).map((one) => `${one} is a secret`),
      ...[...files].flatMap(([path, file]) => leaksOf(file, files).map((one) => `${path}: ${one}`)),
    ];
  },
};

/** Secrets in texts, and functions that read keys. */
function secretsIn({ resources, files }: Planned): string[] {
  const found: string[] = [];
  for (const { symbol, body } of resources) {
    const text = JSON.stringify(body);
    if (/AccountKey=|SharedAccessSignature|[?&]sig=|"clientSecret"|"adminPassword"/i.test(text))
      found.push(`${symbol} contains a secret`);
  }
  for (const [path, file] of files) {
    for (const declaration of file.declarations) {
      if (!('value' in declaration) || declaration.value === undefined) continue;
      walk(declaration.value, new Set(), (inner) => {
        if (inner.kind === 'call' && /^list|^getSecret$|^deployer$/.test(inner.name))
          found.push(`${path}: ${declaration.name} calls ${inner.name}`);
      });
    }
  }
  return found;
}

const securesOf = (file: BicepFile): string[] =>
  file.declarations
    .filter(({ kind, decorators }) => kind === 'param' && decorators.some(({ name }) => name === 'secure'))
    .map(({ name }) => name);

/** Outputs with a secure parameter, and modules that take one as a parameter that is not secure. */
function leaksOf(file: BicepFile, files: Map<string, BicepFile>): string[] {
  const secure = securesOf(file);
  if (secure.length === 0) return [];
  return file.declarations.flatMap((one) => {
    if (one.kind === 'output') return mentions(file, one.value, secure) ? [`${one.name} gives a secret`] : [];
    if (one.kind !== 'module') return [];
    const params = entryOf(bodyOf(one.value), 'params');
    const target = files.get(one.path);
    if (params?.kind !== 'object' || target === undefined) return [];
    return params.entries.flatMap(({ key, value }) => {
      const name = key.kind === 'literal' ? String(key.value) : '';
      const isSafe = securesOf(target).includes(name) || !mentions(file, value, secure);
      return isSafe ? [] : [`${one.name} takes a secret as ${name}, which is not @secure()`];
    });
  });
}

/** Whether an expression contains one of these parameters, directly or through variables. */
function mentions(file: BicepFile, expression: Expression, names: string[]): boolean {
  let found = false;
  walk(expression, new Set(), (inner) => {
    if (inner.kind !== 'name') return;
    const declared = file.declarations.find(({ name, kind }) => name === inner.name && kind === 'var');
    if (names.includes(inner.name)) found = true;
    else if (declared?.kind === 'var') found ||= mentions(file, declared.value, names);
  });
  return found;
}

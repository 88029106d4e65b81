import { walk } from '../bicep/check-file.ts';
import { argument } from '../bicep/check-parameter.ts';
import type { Rule } from '../infrastructure.ts';

/** The environment variables of parameters whose names do not come from the parameter. */
const variables: Record<string, string> = {
  environmentName: 'AZURE_ENV_NAME',
  location: 'AZURE_LOCATION',
  dataverseUrl: 'DATAVERSE_URL',
};

/** The variable of azd's environment that sets a parameter: `instanceMemoryMB` is SYNC_INSTANCE_MEMORY_MB. */
export function variableOf(parameter: string): string {
  const words = parameter.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase();
  return variables[parameter] ?? `SYNC_${words}`;
}

export const parameterRules: Record<string, Rule> = {
  'azd asks for the region with its list': ({ files }) => {
    const location = files.get('main.bicep')!.declarations.find(({ name }) => name === 'location');
    const metadata = JSON.stringify(location?.decorators.find(({ name }) => name === 'metadata')?.args ?? []);
    return /"value":"azd".*"value":"type".*"value":"location"/.test(metadata)
      ? []
      : ['location has no metadata for azd'];
  },

  'every parameter has a description, and those of people have limits': ({ files }) =>
    [...files].flatMap(([path, { declarations }]) =>
      declarations.flatMap((one) => {
        if (one.kind !== 'param') return [];
        const has = (name: string) => one.decorators.some((decorator) => decorator.name === name);
        const description = one.decorators.find(({ name }) => name === 'description');
        const text = description === undefined ? '' : String(argument(description));
        const faults = /^[A-Z].*\.$/s.test(text) ? [] : [`${path}: ${one.name} has no description`];
        if (path !== 'main.bicep' || has('allowed')) return faults;
        const isRequired =
          one.value === undefined || !(one.value.kind === 'literal' && one.value.value === '');
        const isLimited =
          one.type === 'string'
            ? (has('maxLength') || one.name === 'location') && (has('minLength') || !isRequired)
            : one.type !== 'int' || (has('minValue') && has('maxValue'));
        return isLimited ? faults : [...faults, `${path}: ${one.name} has no limits`];
      }),
    ),

  'the file of parameters takes each one from its variable of azd': ({ files }, read) => {
    const { parameters } = JSON.parse(read('main.parameters.json')) as {
      parameters: Record<string, { value: string }>;
    };
    const declared = files.get('main.bicep')!.declarations.filter(({ kind }) => kind === 'param');
    const expected = Object.fromEntries(
      declared.map(({ name }) => [name, { value: `\${${variableOf(name)}}` }]),
    );
    return JSON.stringify(parameters) === JSON.stringify(expected)
      ? []
      : [`main.parameters.json must be ${JSON.stringify(expected)}`];
  },

  'an output that a module gives is used': ({ files }) => {
    const main = files.get('main.bicep')!;
    const modules = new Map(
      main.declarations.flatMap((one) => (one.kind === 'module' ? [[one.name, one.path]] : [])),
    );
    const used = new Set<string>();
    for (const one of main.declarations) {
      if (!('value' in one) || one.value === undefined) continue;
      walk(one.value, new Set(), (inner) => {
        if (inner.kind !== 'member' || inner.of.kind !== 'member' || inner.of.name !== 'outputs') return;
        const module = inner.of.of.kind === 'certain' ? inner.of.of.of : inner.of.of;
        if (module.kind === 'name') used.add(`${modules.get(module.name)}: ${inner.name}`);
      });
    }
    return [...files]
      .filter(([path]) => path !== 'main.bicep')
      .flatMap(([path, { declarations }]) =>
        declarations.filter(({ kind }) => kind === 'output').map(({ name }) => `${path}: ${name}`),
      )
      .filter((one) => !used.has(one))
      .map((one) => `${one} is not used`);
  },
};

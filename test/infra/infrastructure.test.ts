import { describe, expect, it } from 'vitest';
import { sharedAbsent } from '../shared.ts';
import type { DeployedResource } from './bicep/references.ts';
import type { Expression } from './bicep/syntax.ts';
import { at, attempt, plan, readInfra, resourceTypes, rules, variants } from './infrastructure.ts';
import { logAlertsOf } from './rules/monitoring.ts';

describe.each(variants)('a deployment $name', (variant) => {
  const planned = plan(variant);

  it('has no faults that a compiler would find', () => {
    expect(planned.faults).toEqual([]);
    expect(planned.resources.length).toBeGreaterThan(20);
  });

  it.each(Object.entries(rules))('%s', (_, rule) => {
    expect(attempt(() => rule(planned, readInfra))).toEqual([]);
  });
});

/** How far the alert on runs that are absent looks back. */
it.each([
  ['0 */15 * * * *', 'PT3H'],
  ['*/5 * * * *', 'PT3H'],
  ['0 30 * * * *', 'PT3H'],
  ['0  0  */2 * * *', 'PT6H'],
  ['0 0 */6 * * *', 'P1D'],
  ['0 0 */8 * * *', 'P1D'],
  ['0 0 8-18 * * *', 'P2D'],
  ['0 0 3 * * *', 'P2D'],
  ['0 0 3 * * mon-fri', undefined],
  ['0 0 3 1 * *', undefined],
])('with the schedule %s, a mirror without a run is noticed after %s', (schedule, window) => {
  const { parameters } = variants[0]!;
  const planned = plan({ name: schedule, parameters: { ...parameters, schedule } });
  const absence = logAlertsOf(planned).find(({ section }) => section === 'no-complete-run');
  expect(absence && at(absence.resource, 'properties.windowSize')).toBe(window);
  const name = 'alerts ask for what the app sends, and look back far enough';
  expect(rules[name]!(planned, readInfra)).toEqual([]);
});

it('reads outputs of a module that may be absent only where it is deployed', () => {
  // Azure reads the parameters of a module also where its own condition is false.
  const text = readInfra('main.bicep');
  const conditions = new Map(
    [...text.matchAll(/^module (\w+) '[^']+' = if \((\w+)\)/gm)].map(([, name, condition]) => [
      name,
      condition,
    ]),
  );
  const uses = [...text.matchAll(/(\w+) \? (\w+)!\.outputs|(\w+)!\.outputs/g)];
  expect(uses.length).toBeGreaterThan(4);
  for (const [use, condition, guarded, bare] of uses) {
    expect(bare, use).toBeUndefined();
    expect(condition, use).toBe(conditions.get(guarded!));
  }
});

describe('all deployments together', () => {
  it.skipIf(resourceTypes === undefined)(
    resourceTypes === undefined ? sharedAbsent : 'give each resource the properties that Azure knows',
    () => {
      const found = variants.flatMap((variant) => plan(variant).resources);
      for (const { type, apiVersion } of found)
        expect(resourceTypes!.find(`${type}@${apiVersion}`)).toBeDefined();
    },
  );

  it('try both sides of every condition', () => {
    const conditions = new Map<string, Set<boolean>>();
    for (const variant of variants) {
      const { files, resources } = plan(variant);
      for (const [path, { declarations }] of files) {
        for (const { kind, name, ...rest } of declarations) {
          if (kind !== 'resource' || !('value' in rest)) continue;
          const value = rest.value as Expression;
          if ((value.kind === 'for' ? value.body : value).kind !== 'if') continue;
          const isDeployed = resources.some((one) => one.file === path && one.symbol === name);
          const key = `${path} ${name}`;
          conditions.set(key, (conditions.get(key) ?? new Set()).add(isDeployed));
        }
      }
    }
    expect(conditions.size).toBeGreaterThan(3);
    for (const [name, sides] of conditions) expect(sides.size, name).toBe(2);
  });
});

/** What a deployment sends to Azure. Run `vitest -u` after a change that is meant, and read the difference. */
it.each([variants[0]!, variants.at(-1)!])('what is deployed $name', async (variant) => {
  // Without the types of Azure, so that the file is the same where they are absent.
  const { resources, outputs } = plan(variant, readInfra, undefined);
  const text = [
    ...resources.filter(({ isExisting }) => !isExisting).map(describeResource),
    JSON.stringify(outputs, null, 2),
  ];
  await expect(`${text.join('\n\n')}\n`).toMatchFileSnapshot(
    `deployed/${variant.name.replaceAll(' ', '-')}.txt`,
  );
});

const describeResource = ({ type, apiVersion, names, scope, body }: DeployedResource): string =>
  [
    `${type}@${apiVersion} ${names.join('/')}`,
    ...(scope === undefined ? [] : [`on ${scope}`]),
    JSON.stringify(body, null, 2),
  ].join('\n');

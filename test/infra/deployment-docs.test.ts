import { describe, expect, it } from 'vitest';
import { cacheMegabytesFor } from '../../src/config/available-memory.ts';
import { plain, read, rows, section } from '../docs/pages.ts';
import { argument } from './bicep/check-parameter.ts';
import { evaluate } from './bicep/evaluate-expression.ts';
import type { Declaration } from './bicep/syntax.ts';
import { plan, variants } from './infrastructure.ts';
import { variableOf } from './rules/parameters.ts';

const page = 'docs/deployment.md';
const { files } = plan(variants[0]!);
const parameters = files
  .get('main.bicep')!
  .declarations.filter((one): one is Declaration & { kind: 'param' } => one.kind === 'param');

describe('the page about deployment agrees with infra/', () => {
  const table = rows(section(page, 'Parameters'));

  it('has every parameter with its default', () => {
    const nothing = { resourceGroup: '', readFile: () => '', lookUp: () => undefined };
    const expected = parameters.map(({ name, value }) => {
      const usual = value === undefined ? 'required' : evaluate(value, nothing);
      const text = typeof usual === 'object' ? JSON.stringify(usual) : String(usual);
      return [variableOf(name), text];
    });
    expect(table.map(([name, usual]) => [plain(name!), plain(usual ?? '')])).toEqual(expected);
  });

  it('has the limits of numbers and the allowed values', () => {
    for (const [i, { decorators, type }] of parameters.entries()) {
      const of = (name: string) => {
        const found = decorators.find((one) => one.name === name);
        return found === undefined ? undefined : argument(found);
      };
      const meaning = table[i]![2]!;
      const allowed = of('allowed') as string[] | undefined;
      if (allowed !== undefined) for (const value of allowed) expect(meaning).toContain(String(value));
      else if (type === 'int') expect(meaning).toContain(`${of('minValue')} to ${of('maxValue')}`);
    }
  });

  it('says how much memory is for the database', () => {
    const sizes = [512, 2048, 4096].map((memory) => cacheMegabytesFor(memory * 1024 * 1024));
    const [a, b, c] = sizes.map((size) => size.toLocaleString('en'));
    expect(section(page, 'Parameters')).toContain(`${a}, ${b} or ${c} MB`);
  });

  it('lists the roles of the identity', () => {
    const said = [
      ...section(page, 'What is created').matchAll(/^\| (\w[\w ]+?) +\| (?:`sthost|container|App|key)/gm),
    ];
    const roles = plan(variants.at(-1)!).all('Microsoft.Authorization/roleAssignments');
    // That of containers is given once for each.
    const ofIdentity = roles
      .map(({ body }) => JSON.stringify(body))
      .filter((body) => body.includes('ServicePrincipal'));
    expect(said).toHaveLength(new Set(ofIdentity).size);
  });

  it('names the role that npm run role makes, which azd up runs', () => {
    const name = /const defaultRoleName = '(.+)'/.exec(read('src/commands/role.ts'))![1]!;
    expect(section(page, 'Parameters')).toContain(`\`${name}\` by default`.replaceAll('`', '_'));
    expect(read('infra/hooks/parts/role.mjs')).toContain("'dist/cli/main.js'), 'role'");
  });

  it('names the oldest azd that azure.yaml accepts', () => {
    const version = /azd: ">= (.+)"/.exec(read('azure.yaml'))![1]!;
    expect(section(page, 'Before you start')).toContain(`${version} or later`);
  });
});

import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { at, plan, root, variants } from './infrastructure.ts';

interface Hook {
  posix: { shell: string; run: string; interactive?: boolean };
  windows: { shell: string; run: string; interactive?: boolean };
}
interface AzureYaml {
  infra: { provider: string; path: string; module: string };
  services: Record<
    string,
    {
      project: string;
      dist: string;
      language: string;
      host: string;
      remoteBuild: boolean;
      hooks: Record<string, Hook>;
    }
  >;
  hooks: Record<string, Hook>;
}

const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const azureYaml = parse(read('azure.yaml')) as AzureYaml;
const service = azureYaml.services['app']!;

describe('azure.yaml', () => {
  it('names infra/main.bicep and its parameters', () => {
    const { path, module, provider } = azureYaml.infra;
    expect(provider).toBe('bicep');
    for (const end of ['bicep', 'parameters.json'])
      expect(existsSync(join(root, path, `${module}.${end}`))).toBe(true);
  });

  it('deploys the package to the app with the tag of the service, without a build in Azure', () => {
    expect(Object.keys(azureYaml.services)).toEqual(['app']);
    expect(at(plan(variants[0]!).one('Microsoft.Web/sites'), 'tags.azd-service-name')).toBe('app');
    expect(service).toMatchObject({
      project: '.',
      dist: '.package',
      language: 'js',
      host: 'function',
      remoteBuild: false,
    });
    // azd refuses remoteBuild: false where .funcignore leaves out node_modules.
    expect(read('.funcignore').split('\n')).not.toContain('node_modules/');
    expect(read('.funcignore').split('\n')).not.toContain('node_modules');
  });

  it('installs and makes the package before azd takes it', () => {
    expect(Object.keys(service.hooks)).toEqual(['prerestore', 'prepackage']);
    expect(service.hooks['prerestore']!.posix.run).toBe('npm ci');
    expect(service.hooks['prepackage']!.posix.run).toBe('npm run package');
  });

  it('runs the same on every system, and what it runs exists', () => {
    expect(Object.keys(azureYaml.hooks)).toEqual(['preprovision', 'postprovision', 'postdeploy']);
    for (const { posix, windows } of [...Object.values(azureYaml.hooks), ...Object.values(service.hooks)]) {
      expect(posix.shell).toBe('sh');
      expect(windows).toEqual({ ...posix, shell: 'pwsh' });
      const script = /^node (\S+)$/.exec(posix.run)?.[1];
      if (script === undefined) expect(posix.run).toMatch(/^npm (?:ci|run package)$/);
      else expect(existsSync(join(root, script)), script).toBe(true);
      execFileSync('sh', ['-n', '-c', posix.run]);
    }
  });
});

describe('the hooks', () => {
  const scripts = globSync('infra/hooks/**/*.mjs', { cwd: root });

  it('parse, and use nothing but Node.js', () => {
    expect(scripts.length).toBeGreaterThan(4);
    // One process for all: it parses each file, and runs none.
    const check = `const { SourceTextModule } = require('node:vm'), { readFileSync } = require('node:fs');
      for (const path of process.argv.slice(1)) new SourceTextModule(readFileSync(path, 'utf8'), { identifier: path });`;
    const paths = scripts.map((script) => join(root, script));
    execFileSync(process.execPath, ['--experimental-vm-modules', '--no-warnings', '-e', check, ...paths]);
    for (const script of scripts) {
      for (const [, from] of read(script).matchAll(/ from '(.+)'/g))
        expect(from, script).toMatch(/^(?:node:|\.\.?\/)/);
    }
  });

  it('read values that the deployment gives', () => {
    const { outputs } = plan(variants.at(-1)!);
    const names = scripts.flatMap((script) =>
      [...read(script).matchAll(/\bvalue\('(\w+)'\)|process\.env\['(\w+)'\]/g)].map(
        ([, given, own]) => given ?? own!,
      ),
    );
    const ofPeople = [
      ...['SYNC_DATAVERSE_ROLE', 'SYNC_ENTITIES_FILE', 'SYNC_EXTRA_SETTINGS', 'SYNC_SIGN_IN_CLIENT_ID'],
      ...['SYNC_ENVIRONMENTS_FILE', 'SYNC_ENVIRONMENT_NAMES'],
      ...['SYNC_HOOK_WAIT_SECONDS', 'SYNC_HOOK_INTERVAL_SECONDS'],
    ];
    expect([...new Set(names)].filter((name) => !ofPeople.includes(name)).sort()).toEqual(
      Object.keys(outputs).sort(),
    );
  });

  it('take the same list of tables as the app where no variable names one', () => {
    const usual = /param entitiesFile string = '(.+)'/.exec(read('infra/main.bicep'))![1]!;
    expect(read('infra/hooks/parts/role.mjs')).toContain(`|| '${usual}' }`);
  });

  it('know the routes and the secret of the app', () => {
    const text = scripts.map(read).join('\n');
    const { outputs } = plan(variants.at(-1)!);
    expect(outputs['AZURE_KEY_VAULT_NAME']).toMatch(/^kv-/);
    const secret = /clientSecretName = '(.+)'/.exec(read('infra/modules/key-vault.bicep'))![1]!;
    expect(text).toContain(`--name ${secret}`);
    for (const [, route] of text.matchAll(/\/api\/(\w+)/g))
      expect(['sync', 'health', 'check', 'dashboard', 'data', 'environments']).toContain(route);
  });
});

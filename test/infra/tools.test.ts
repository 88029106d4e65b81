import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { root } from './infrastructure.ts';
import { variableOf } from './rules/parameters.ts';

const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const container = JSON.parse(read('.devcontainer/devcontainer.json')) as {
  image: string;
  features: Record<string, Record<string, unknown>>;
  postCreateCommand: string;
};
interface Step {
  uses?: string;
  run?: string;
  with?: Record<string, string>;
}
const workflow = parse(read('.github/workflows/azure-dev.yml')) as {
  on: { workflow_run: { workflows: string[]; types: string[]; branches: string[] } };
  jobs: { deploy: { if: string; permissions: Record<string, string>; steps: Step[] } };
};
const { deploy } = workflow.jobs;

it('the development container has exact versions of Node.js 24 and all tools', () => {
  expect(container.image).toMatch(
    /^mcr\.microsoft\.com\/devcontainers\/javascript-node:\d+\.\d+\.\d+-24-\w+$/,
  );
  const features = Object.entries(container.features);
  expect(features.map(([name]) => name.replace(/:.*/, ''))).toEqual([
    'ghcr.io/azure/azure-dev/azd',
    'ghcr.io/devcontainers/features/azure-cli',
  ]);
  for (const [name, options] of features) {
    expect(name).toMatch(/:\d+\.\d+\.\d+$/);
    for (const version of [options['version'], options['bicepVersion']])
      if (version !== undefined) expect(version).toMatch(/^v?\d+\.\d+\.\d+$/);
  }
  expect(container.postCreateCommand).toMatch(
    /^npm ci && npm install --global azure-functions-core-tools@\d+\.\d+\.\d+$/,
  );
});

it('the workflow deploys main with a token of GitHub, and only where variables are set', () => {
  // Not on push: CI would not have finished.
  expect(Object.keys(workflow.on)).toEqual(['workflow_run', 'workflow_dispatch']);
  const ci = parse(read('.github/workflows/ci.yml')) as { name: string };
  expect(workflow.on.workflow_run).toEqual({
    workflows: [ci.name],
    types: ['completed'],
    branches: ['main'],
  });
  expect(deploy.if).toMatch(/workflow_run\.conclusion == 'success'/);
  expect(deploy.if).toMatch(/workflow_run\.event == 'push'/);
  expect(deploy.steps[0]!.with!['ref']).toContain('workflow_run.head_sha');
  expect(deploy.if).toMatch(/vars\.AZURE_CLIENT_ID != ''/);
  expect(deploy.permissions).toEqual({ contents: 'read', 'id-token': 'write' });
  expect(JSON.stringify(deploy)).not.toMatch(/secrets\./);
  const commands = deploy.steps.map(({ run }) => run ?? '').join('\n');
  expect(commands).toMatch(/--federated-credential-provider github\nazd up --no-prompt/);
});

it('azd pipeline config finds the workflow, and adds none', () => {
  // The only name that it looks for (github.com/Azure/azure-dev, cli/azd/pkg/pipeline).
  expect(readdirSync(join(root, '.github/workflows'))).toContain('azure-dev.yml');
  expect(readdirSync(join(root, '.github/workflows'))).not.toContain('deploy.yml');
});

it('a variable of several lines stays one variable', () => {
  const { run } = deploy.steps.find(({ run }) => run?.includes('GITHUB_ENV'))!;
  const folder = mkdtempSync(join(tmpdir(), 'github-env-'));
  const file = join(folder, 'env');
  const variables = {
    AZURE_ENV_NAME: 'prod',
    SYNC_EXTRA_SETTINGS: '{\n"A": "=1"\nDATAVERSE_URL=https://other\n}',
    OTHER: 'x',
  };
  // GitHub runs steps with bash and these options.
  execFileSync('bash', ['-eo', 'pipefail', '-c', run!], {
    env: { ...process.env, VARIABLES: JSON.stringify(variables), GITHUB_ENV: file },
  });
  const found: Record<string, string> = {};
  const delimiters: string[] = [];
  const lines = readFileSync(file, 'utf8').split('\n');
  while (lines.length > 1) {
    const [, name, delimiter] = /^(\w+)<<(\w{20,})$/.exec(lines.shift()!)!;
    delimiters.push(delimiter!);
    found[name!] = lines.splice(0, lines.indexOf(delimiter!)).join('\n');
    lines.shift();
  }
  const { OTHER: _, ...passed } = variables;
  expect(found).toEqual(passed);
  expect(new Set(delimiters).size).toBe(delimiters.length);
  rmSync(folder, { recursive: true });
});

it('the token for Dataverse is requested before the assertion of GitHub expires', () => {
  const at = (part: RegExp) => deploy.steps.findIndex(({ uses, run }) => part.test(`${uses} ${run}`));
  const login = at(/^Azure\/login@/);
  expect(login).toBeGreaterThan(0);
  expect(at(/az account get-access-token --resource "\$DATAVERSE_URL"/)).toBe(login + 1);
  expect(at(/azd up/)).toBeGreaterThan(login + 1);
});

it('a token is requested for each environment, also where one is refused', () => {
  const { run } = deploy.steps.find(({ run }) => run?.includes('az account get-access-token'))!;
  const folder = mkdtempSync(join(tmpdir(), 'environments-'));
  const file = join(folder, 'environments.json');
  const environments = { sales: { DATAVERSE_URL: 'https://sales' }, service: { DATAVERSE_URL: 'https://x' } };
  writeFileSync(file, JSON.stringify({ environments }));
  // A stand-in that fails for one of them.
  const out = (environmentsFile: string, refused: string) => {
    const az = `az() { echo "$4"; [ "$4" != ${refused} ]; }`;
    const { stdout, status } = spawnSync('bash', ['-eo', 'pipefail', '-c', `${az}\n${run}`], {
      env: { ...process.env, DATAVERSE_URL: 'https://first', SYNC_ENVIRONMENTS_FILE: environmentsFile },
    });
    return [stdout.toString(), status];
  };
  const all = 'https://first\nhttps://sales\nhttps://x\n';
  expect(out(file, 'https://sales')).toEqual([all, 0]);
  expect(out(file, 'https://first')).toEqual([all, 1]);
  expect(out('', 'https://sales')).toEqual(['https://first\n', 0]);
  rmSync(folder, { recursive: true });
});

it('the workflow and the development container use one version of azd', () => {
  const azd = deploy.steps.find(({ uses }) => uses?.startsWith('Azure/setup-azd@'))!;
  expect(azd.with!['version']).toBe(container.features['ghcr.io/azure/azure-dev/azd:0.2.0']!['version']);
});

it('the workflow passes the variables of all parameters', () => {
  const { parameters } = JSON.parse(read('infra/main.parameters.json')) as {
    parameters: Record<string, unknown>;
  };
  const step = deploy.steps.find(({ run }) => run?.includes('GITHUB_ENV'))!;
  const pattern = new RegExp(/test\("(.+?)"\)/.exec(step.run!)![1]!);
  for (const name of Object.keys(parameters)) expect(variableOf(name)).toMatch(pattern);
});

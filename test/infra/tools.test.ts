import { readFileSync } from 'node:fs';
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
const workflow = parse(read('.github/workflows/deploy.yml')) as {
  on: { push: { branches: string[] } };
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
  expect(workflow.on.push.branches).toEqual(['main']);
  expect(deploy.if).toMatch(/vars\.AZURE_CLIENT_ID != ''/);
  expect(deploy.permissions).toEqual({ contents: 'read', 'id-token': 'write' });
  expect(JSON.stringify(deploy)).not.toMatch(/secrets\./);
  const commands = deploy.steps.map(({ run }) => run ?? '').join('\n');
  expect(commands).toMatch(/--federated-credential-provider github\nazd up --no-prompt/);
});

it('the workflow and the development container use one version of azd', () => {
  const azd = deploy.steps.find(({ uses }) => uses?.startsWith('Azure/setup-azd@'))!;
  expect(azd.with!['version']).toBe(container.features['ghcr.io/azure/azure-dev/azd:0.2.0']!['version']);
});

it('the workflow passes the variables of all parameters', () => {
  const { parameters } = JSON.parse(read('infra/main.parameters.json')) as {
    parameters: Record<string, unknown>;
  };
  const step = deploy.steps.find(({ run }) => run?.includes('jq '))!;
  const pattern = new RegExp(/test\("(.+?)"\)/.exec(step.run!)![1]!);
  for (const name of Object.keys(parameters)) expect(variableOf(name)).toMatch(pattern);
});

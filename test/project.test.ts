import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, globSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { releases } from './upgrade/fixture.ts';

const root = resolve(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const manifest = JSON.parse(read('package.json')) as {
  version: string;
  scripts: Record<string, string>;
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
};

interface Workflow {
  on: Record<string, unknown>;
  permissions: Record<string, string>;
  jobs: Record<string, { 'timeout-minutes'?: number; steps: { uses?: string; run?: string }[] }>;
}
const isThere = (path: string): boolean => existsSync(join(root, path));
const workflow = (name: string): Workflow => parse(read(`.github/workflows/${name}`)) as Workflow;
const commandsOf = ({ jobs }: Workflow): string =>
  Object.values(jobs)
    .flatMap(({ steps }) => steps.map(({ run }) => run ?? ''))
    .join('\n');

describe('each workflow', () => {
  it.each(readdirSync(join(root, '.github/workflows')))('%s may only read, and pins its actions', (name) => {
    const { permissions, jobs } = workflow(name);
    expect(permissions).toEqual({ contents: 'read' });
    for (const job of Object.values(jobs)) {
      expect(job['timeout-minutes']).toBeGreaterThan(0);
      for (const { uses } of job.steps) {
        // A major version of GitHub's own actions, a whole commit of any other.
        if (uses !== undefined) expect(uses).toMatch(/^actions\/[\w-]+@v\d+$|^[\w-]+\/[\w/-]+@[0-9a-f]{40}$/);
      }
    }
  });
});

it('pushes and pull requests run .ci/run, and each night the long form', () => {
  expect(Object.keys(workflow('ci.yml').on)).toEqual(['push', 'pull_request']);
  expect(commandsOf(workflow('ci.yml'))).toMatch(/^\.ci\/run /m);
  expect(Object.keys(workflow('nightly.yml').on)).toContain('schedule');
  expect(commandsOf(workflow('nightly.yml'))).toMatch(/npm run test:long /);
});

it('the update bot knows npm and the actions, and keeps versions exact', () => {
  const { updates } = parse(read('.github/dependabot.yml')) as {
    updates: Record<string, unknown>[];
  };
  expect(updates.map((update) => update['package-ecosystem'])).toEqual(['npm', 'github-actions']);
  expect(updates[0]!['versioning-strategy']).toBe('increase');
});

it('every dependency has an exact version', () => {
  const versions = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies });
  expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+(?:-(?:build|beta\.)\d+)?$/.test(version))).toEqual(
    [],
  );
});

it('.funcignore leaves the folders of packages alone', () => {
  const patterns = read('.funcignore')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  // Without a slash before its end, a pattern also matches below node_modules: packages keep their code in src or dist.
  const unanchored = patterns.filter((pattern) => !pattern.slice(0, -1).includes('/'));
  expect(unanchored.filter((pattern) => !/^(?:\*\.|\.)/.test(pattern))).toEqual([]);
});

it('.funcignore and .gitignore leave out what belongs to a machine or an environment', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ignored-'));
  // Git applies the patterns, those of .funcignore as well: both have the same form.
  const ignoredBy = (file: string, paths: string[]): string[] => {
    const git = (...args: string[]) =>
      spawnSync('git', args, { cwd: folder, encoding: 'utf8', input: paths.join('\n') }).stdout;
    git('init', '--quiet');
    copyFileSync(join(root, file), join(folder, '.gitignore'));
    return git('check-ignore', '--no-index', '--stdin').split('\n').filter(Boolean);
  };
  const secret = ['.azure/prod/.env', '.azure/prod/config.json', '.env', 'SECRET.txt', 'local.settings.json'];
  const ofCheckout = ['azure.yaml', '.devcontainer/devcontainer.json', 'infra/main.bicep', 'src/index.ts'];
  const uploaded = [
    'host.json',
    'entities.json',
    'package.json',
    'dist/index.js',
    'node_modules/x/infra/index.js',
  ];
  expect(ignoredBy('.funcignore', [...secret, ...ofCheckout, ...uploaded])).toEqual([
    ...secret,
    ...ofCheckout,
  ]);
  expect(ignoredBy('.gitignore', [...secret, ...ofCheckout])).toEqual(secret);
  rmSync(folder, { recursive: true });
});

it('.editorconfig says the same as biome.json', () => {
  const { formatter } = JSON.parse(read('biome.json')) as { formatter: Record<string, unknown> };
  const general = /^\[\*\]\n([\s\S]*?)\n\n/m.exec(read('.editorconfig'))![1]!;
  const settings = Object.fromEntries(general.split('\n').map((line) => line.split(' = ')));
  expect(settings).toMatchObject({
    indent_style: formatter['indentStyle'],
    // Biome's defaults, where biome.json is silent.
    indent_size: String(formatter['indentWidth'] ?? 2),
    end_of_line: formatter['lineEnding'] ?? 'lf',
    max_line_length: String(formatter['lineWidth']),
  });
});

it('the changelog begins with what is not released, and each release has an upgrade fixture', () => {
  const headings = [...read('CHANGELOG.md').matchAll(/^## \[?(.+?)\]?(?: - (.+))?$/gm)];
  const [first, ...released] = headings.map(([, version]) => version!);
  expect(first).toBe('Unreleased');
  expect(released[0]).toBe(manifest.version);
  expect(released.toSorted()).toEqual(releases());
  for (const [, , date] of headings.slice(1)) expect(date).toMatch(/^\d{4}-\d\d-\d\d$/);
});

describe.each(['CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md', 'test/upgrade/README.md'])('%s', (path) => {
  const text = read(path);

  it('names npm scripts and files that exist', () => {
    for (const [, script] of text.matchAll(/npm run (?:-s )?([\w:]+)/g))
      expect(manifest.scripts).toHaveProperty([script!]);
    for (const [, name] of text.matchAll(/`((?:src|test|docs|\.github|\.ci)\/[^\s`<>*]+)`/g))
      expect(isThere(name!), name).toBe(true);
  });

  it('has links that lead somewhere', () => {
    for (const [, target] of text.matchAll(/\]\(([^)]+)\)/g)) {
      if (/^https:/.test(target!)) continue;
      const [file, anchor] = target!.split('#');
      const found = file === '' ? path : join(dirname(path), file!);
      expect(isThere(found), target).toBe(true);
      if (anchor !== undefined) expect(anchorsOf(read(found)), target).toContain(anchor);
    }
  });
});

function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\w\s-]/g, '')
      .replaceAll(' ', '-'),
  );
}

it('no document ends without a line break or holds a tab', () => {
  for (const path of globSync(['*.md', '.github/**/*.{md,yml}'], { cwd: root })) {
    expect(read(path), path).toMatch(/^[^\t]*\n$/);
  }
});

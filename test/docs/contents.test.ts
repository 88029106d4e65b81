import { existsSync, globSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { entitiesJsonSchema, parseEntities } from '../../src/config/entities.ts';
import { readMetricsSettings } from '../../src/config/metrics-settings.ts';
import { readSettings } from '../../src/config/settings.ts';
import { helpText } from '../../src/local/start-options.ts';
import {
  anchor,
  blocks,
  entitiesExample,
  firstCells,
  pages,
  plain,
  read,
  root,
  rows,
  section,
  withoutCode,
} from './pages.ts';

const manifest = JSON.parse(read('package.json')) as Record<
  'scripts' | 'dependencies' | 'devDependencies',
  Record<string, string>
>;

describe('the documentation agrees with the code', () => {
  test('the README is short', () => {
    expect(read('README.md').trimEnd().split('\n').length).toBeLessThanOrEqual(130);
  });

  test('options of npm start', () => {
    expect(blocks('text', section('docs/configuration.md', 'npm start'))).toEqual([helpText]);
  });

  test('app settings and their defaults', () => {
    const settings = rows(section('docs/configuration.md', 'App settings'));
    const named = settings.map(([name]) => plain(name!));
    const files = [...['settings', 'storage-settings', 'metrics-settings', 'postgres/postgres-settings']].map(
      (name) => `src/config/${name}.ts`,
    );
    const inCode = files.flatMap((path) =>
      [
        ...read(path).matchAll(
          /^ {2}((?:DATAVERSE|SYNC|POSTGRES|FABRIC|METRICS|DASHBOARD|AzureWebJobsStorage)\w*):/gm,
        ),
      ].map(([, name]) => name!),
    );
    const elsewhere = [
      'SYNC_SCHEDULE',
      'APPLICATIONINSIGHTS_CONNECTION_STRING',
      'APPLICATIONINSIGHTS_AUTHENTICATION_STRING',
      'OTEL_TRACES_SAMPLER',
      'OTEL_TRACES_SAMPLER_ARG',
    ];
    expect([...named].sort()).toEqual([...inCode, ...elsewhere].sort());

    const defaults = Object.fromEntries(
      settings.flatMap(([name, value]) => (value?.startsWith('`') ? [[plain(name!), plain(value)]] : [])),
    );
    const required = {
      DATAVERSE_URL: 'https://contoso.crm.dynamics.com',
      AzureWebJobsStorage: 'UseDevelopmentStorage=true',
    };
    expect(readSettings({ ...required, ...defaults })).toEqual(readSettings(required));
    expect(readMetricsSettings(defaults)).toEqual(readMetricsSettings({}));
    const withDefault = inCode.filter((name) =>
      /^(?:SYNC_(?!DATABASE_STORAGE|ENVIRONMENTS_FILE)|METRICS_)|_AUTH$|_MAX_CONCURRENCY$|_PAGE_SIZE$|_SCHEMA$|_DISTRIBUTE$/.test(
        name,
      ),
    );
    expect(Object.keys(defaults).sort()).toEqual(withDefault.sort());

    const example = JSON.parse(read('local.settings.json.example')) as { Values: Record<string, string> };
    const ofTheHost = ['FUNCTIONS_WORKER_RUNTIME'];
    expect(Object.keys(example.Values).filter((name) => !named.includes(name))).toEqual(ofTheHost);
  });

  test('keys of entities.json, each with an example', () => {
    const properties = new Set<string>();
    JSON.stringify(entitiesJsonSchema(), (key, value) => {
      if (key === 'properties' && 'filtered' in value)
        for (const name of Object.keys(value)) properties.add(name);
      return value;
    });
    expect(firstCells(section('docs/configuration.md', 'entities.json'))).toEqual([...properties]);
    const { entities } = JSON.parse(entitiesExample()) as { entities: (string | object)[] };
    expect(parseEntities(JSON.parse(entitiesExample()))).toHaveLength(entities.length);
    const used = new Set(entities.flatMap((entry) => (typeof entry === 'string' ? [] : Object.keys(entry))));
    expect([...used].sort()).toEqual([...properties].sort());
    const short = blocks('json', section('README.md', 'Your own environment'))[0]!;
    expect(parseEntities(JSON.parse(short))).toHaveLength(3);
  });

  test('functions, their routes, queues and methods', () => {
    const files = globSync('src/functions/**/*.ts', { cwd: root });
    const fileOf = new Map(files.map((file) => [basename(file, '.ts'), file]));
    const table = rows(section('docs/http-api.md', 'Functions'));
    expect(table.map(([name]) => plain(name!)).sort()).toEqual([...fileOf.keys()].sort());
    for (const [name, trigger] of table) {
      const source = read(fileOf.get(plain(name!))!);
      const route = /registerHttp\('\w+', '(.+?)'/.exec(source)?.[1];
      if (route === undefined) {
        expect(trigger).toMatch(source.includes('registerTimer') ? /^timer/ : /^queue/);
        continue;
      }
      // The address without the optional parameter may stand for both.
      const paths = [route, route.replace(/\/\{\w+\?\}$/, '')].map((path) => `/api/${path}\``);
      expect(
        paths.some((path) => trigger!.includes(path)),
        trigger,
      ).toBe(true);
      const methods = [...source.matchAll(/\b(GET|POST)(?:: \w+|')/g)].map(([, method]) => method);
      expect(methods).not.toEqual([]);
      for (const method of methods) expect(trigger).toContain(method);
    }
  });

  test('queues', () => {
    const queues = ['src/sync/documents/messages.ts', 'src/metrics/journal/drain-queue.ts'].flatMap((path) =>
      [...read(path).matchAll(/Queue = '([\w-]+)'/g)].map(([, name]) => name!),
    );
    const said = [...section('docs/http-api.md', 'Functions').matchAll(/queue `([\w-]+)`/g)].map(
      ([, name]) => name!,
    );
    expect(said.sort()).toEqual(queues.flatMap((queue) => [queue, `${queue}-poison`]).sort());
  });

  test('values of host.json', () => {
    const { extensions, ...rest } = JSON.parse(read('host.json')) as Record<string, unknown> & {
      extensions: { queues: Record<string, unknown> };
    };
    const queues = Object.entries(extensions.queues).map(([name, value]) => [`queues.${name}`, value]);
    const own = ['functionTimeout', 'telemetryMode'].map((name) => [name, rest[name]]);
    const bundle = (rest['extensionBundle'] as { version: string }).version;
    const inFile = Object.fromEntries([...own, ...queues, ['extensionBundle', bundle]]);
    const table = rows(section('docs/operations.md', 'host.json'));
    const said = Object.fromEntries(table.map(([name, value]) => [plain(name!), plain(value!)]));
    expect(said).toEqual(
      Object.fromEntries(Object.entries(inFile).map(([name, value]) => [name, String(value)])),
    );
  });

  test('npm scripts', () => {
    const text = pages.map(read).join('\n');
    const said = [...text.matchAll(/npm (?:run (?:-s )?([\w:]+)|(start|test)\b)/g)].map(
      ([, run, own]) => run ?? own!,
    );
    expect([...new Set(said)].sort()).toEqual(Object.keys(manifest.scripts).sort());
  });

  test('names of tests in commands', () => {
    const commands = pages.flatMap((page) => [...read(page).matchAll(/vitest run (\S+) +-t '(.+?)'/g)]);
    expect(commands.length).toBeGreaterThan(1);
    for (const [command, path, name] of commands) {
      const files = readdirSync(join(root, path!), { recursive: true, encoding: 'utf8' });
      const tests = files.filter((file) => file.endsWith('.test.ts')).map((file) => read(join(path!, file)));
      const titles = tests.flatMap((text) => [...text.matchAll(/\b(?:it|test|describe)\(\s*'(.+)',/g)]);
      expect(
        titles.some(([, title]) => title!.includes(name!)),
        command,
      ).toBe(true);
    }
  });

  test('dependencies, each with its reason', () => {
    const { dependencies, devDependencies } = manifest;
    expect(firstCells(section('docs/development.md', 'Dependencies'))).toEqual([
      ...Object.keys(dependencies),
      ...Object.keys(devDependencies),
    ]);
  });

  test('folders', () => {
    const said = [
      ...blocks('text', section('docs/how-it-works.md', 'Layers'))[0]!.matchAll(/^ {2}(\w+)\/ /gm),
    ];
    const inSource = readdirSync(join(root, 'src'), { withFileTypes: true }).filter((entry) =>
      entry.isDirectory(),
    );
    expect(said.map(([, name]) => name).sort()).toEqual(inSource.map(({ name }) => name).sort());
  });

  test.each(pages)('links and paths of %s', (page) => {
    const text = read(page);
    for (const [, target] of withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target!)) continue;
      const [path, fragment] = target!.split('#') as [string, string?];
      const file = path === '' ? page : join(dirname(page), path);
      expect(existsSync(join(root, file)), `${page} links to ${target}`).toBe(true);
      if (fragment === undefined) continue;
      const headings = [...withoutCode(read(file)).matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
        anchor(heading!),
      );
      expect(headings, `${page} links to ${target}`).toContain(fragment);
    }
    // Paths in code marks, such as `src/sync/plan/load-catalog.ts`, unless they hold a placeholder.
    for (const [, path] of text.matchAll(/`((?:src|test|docs|infra)\/[\w./-]+)`/g)) {
      expect(existsSync(join(root, path!)), `${page} names ${path}`).toBe(true);
    }
  });

  test('the glossary stays short', () => {
    const terms = section('docs/how-it-works.md', 'Glossary').match(/^\| \w/gm)!;
    expect(terms.length).toBeGreaterThan(15);
    expect(terms.length).toBeLessThanOrEqual(25);
  });
});

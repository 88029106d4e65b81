import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  crowdedFolders,
  fileCycles,
  folderCycles,
  forbiddenWords,
  functionsWithLogic,
  importedPackages,
  importsInto,
  importsOutOf,
  layerViolations,
  type SourceFiles,
} from './architecture-rules.ts';

const root = resolve(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const files: SourceFiles = new Map(
  globSync('**/*.ts', { cwd: join(root, 'src') })
    .sort()
    .map((path) => [path, read(`src/${path}`)]),
);

/** From the top down. A folder imports from the layers below its own, and from nowhere else. */
const layers = [
  ['local'], //                                            npm start; never deployed
  ['browser'], //                                          the script of the pages; imports nothing else
  ['functions', 'cli', 'library', 'index.ts'], //          what Azure, the command line and other programs call
  ['commands'],
  ['pages-services.ts', 'move-services.ts', 'register-functions.ts'],
  ['metrics-services.ts', 'check-services.ts'], //         put the parts together
  ['services.ts'],
  ['sync-services.ts'],
  ['http', 'check', 'terminal', 'mirror'],
  ['sync', 'metrics'], //                                  the two subjects
  ['fabric'], //                                           Parquet files of rows
  ['target'], //                                           what receives a round
  ['schema', 'dataverse', 'sqlite', 'storage'],
  ['config', 'telemetry'],
  ['errors.ts'],
  ['safe-text.ts'],
];
/** The engine binds values by the model of a table. */
const neighbours = ['sqlite → schema'];

/** Packages that the functions do not need, with the one file that may import them: the command line has them in its bundle. */
const bundled: Record<string, string[]> = {
  '@sqlite.org/sqlite-wasm': ['browser/sqlite-worker.ts', 'browser/mirror-vfs.ts'],
  '@modelcontextprotocol/sdk': ['cli/mcp/mcp-server.ts', 'cli/mcp/mcp-command.ts'],
};

const sql = /\b(?:SELECT|INSERT INTO|UPDATE \S+ SET|DELETE FROM|CREATE (?:TEMP )?TABLE)\b/;

const rules: Record<string, () => string[]> = {
  'imports between folders point down': () => layerViolations(files, layers, neighbours),
  'files do not import each other in a circle': () => fileCycles(files),
  'folders do not import each other in a circle': () =>
    ['sync', 'dataverse', 'metrics', 'target'].flatMap((folder) => folderCycles(files, folder)),
  'a folder holds at most 16 files': () => crowdedFolders(files, 16),
  'functions only register their trigger': () => functionsWithLogic(files, 20),
  'sqlite and storage do not know Dataverse': () =>
    forbiddenWords(
      files,
      ['sqlite', 'storage'],
      /odata|versionnumber|\bcrm\b/i,
      'sqlite and storage do not know Dataverse',
    ),
  'sync and http contain no SQL': () =>
    forbiddenWords(files, ['sync', 'http', 'functions'], sql, 'SQL belongs in target or sqlite'),
  'only local imports local': () => importsInto(files, 'local', 'src/local is never deployed'),
  'the sample Dataverse stands alone': () =>
    importsOutOf(
      files,
      'local/sample-dataverse',
      'the sample Dataverse shares no code with what it is there to test',
    ),
  'a package that src imports is a dependency, and a dependency is imported': () => {
    const { name, dependencies } = JSON.parse(read('package.json')) as {
      name: string;
      dependencies: Record<string, string>;
    };
    const imported = importedPackages(files, name);
    return [
      ...[...imported]
        .filter(([one, path]) => !(one in dependencies) && !(bundled[one] ?? []).includes(path))
        .map(([one, path]) => `${path} imports ${one}, which is not among the dependencies`),
      ...Object.keys(dependencies)
        .filter((one) => !imported.has(one))
        .map((one) => `package.json depends on ${one}, which no file of src imports`),
    ];
  },
  'a dependency has its reason in the documentation': () => {
    const { dependencies, devDependencies } = JSON.parse(read('package.json')) as Record<
      'dependencies' | 'devDependencies',
      Record<string, string>
    >;
    const texts = globSync(['*.md', 'docs/**/*.md'], { cwd: root }).map(read);
    return Object.keys({ ...dependencies, ...devDependencies })
      .filter((one) => !texts.some((text) => new RegExp(`^\\| \`${one}\` +\\| *\\S`, 'm').test(text)))
      .map((one) => `package.json has ${one}: no table in the documentation gives the reason`);
  },
};

/**
 * Violations that exist today, word for word. The list only shrinks: a violation that no longer exists must leave it.
 */
const known: string[] = [];

describe('the architecture', () => {
  for (const [rule, violations] of Object.entries(rules)) {
    it(rule, () => {
      expect(violations().filter((one) => !known.includes(one))).toEqual([]);
    });
  }

  it('has no known violation that no longer exists', () => {
    const found = Object.values(rules).flatMap((violations) => violations());
    expect(known.filter((one) => !found.includes(one))).toEqual([]);
  });
});

import { describe, expect, it } from 'vitest';
import {
  crowdedFolders,
  fileCycles,
  folderCycles,
  forbiddenWords,
  functionsWithLogic,
  importedPackages,
  importsInto,
  importsOf,
  importsOutOf,
  layerViolations,
} from './architecture-rules.ts';

const files = (texts: Record<string, string>) => new Map(Object.entries(texts));

describe('imports', () => {
  it('are found in every form', () => {
    const text = `
      import '../indented-so-not-a-statement.ts';
import './side-effect.ts';
import { one } from './value.ts';
import type {
  Two,
  Three,
} from './types.ts';
export { four } from './export.ts';
export * from './all.ts';
export const five = (value: import('./in-a-type.ts').Five): void => undefined;
const six = await import('./dynamic.ts');
const text = "quoted";`;
    expect(importsOf(text)).toEqual([
      ...['./side-effect.ts', './value.ts', './types.ts', './export.ts', './all.ts'],
      ...['./in-a-type.ts', './dynamic.ts'],
    ]);
  });

  it('in comments do not count', () => {
    expect(importsOf("/**\nimport { a } from './a.ts';\n */\n// import('./b.ts')\n")).toEqual([]);
  });
});

describe('layers', () => {
  const layers = [['top'], ['left', 'right'], ['bottom'], ['base.ts']];

  it('may be skipped on the way down', () => {
    const down = files({
      'top/a.ts': "import '../left/a.ts';\nimport '../base.ts';",
      'left/a.ts': "import './b/c.ts';\nimport '../bottom/a.ts';",
      'left/b/c.ts': "import '../../base.ts';",
    });
    expect(layerViolations(down, layers)).toEqual([]);
  });

  it('are not imported from below, nor from beside without permission', () => {
    const up = files({
      'left/a.ts': "import type { B } from '../right/b.ts';",
      'right/b.ts': "import { a } from '../left/a.ts';",
      'bottom/deep/a.ts': "const a: import('../../top/a.ts').A = 1;",
    });
    expect(layerViolations(up, layers, ['left → right'])).toEqual([
      'right/b.ts imports left/a.ts: left is in the same layer, and imports point down',
      'bottom/deep/a.ts imports top/a.ts: top is in a layer above, and imports point down',
    ]);
  });

  it('have a place for every folder', () => {
    expect(layerViolations(files({ 'new/a.ts': '' }), layers)).toEqual(['new belongs to no layer']);
  });
});

describe('circles', () => {
  it('of files are found, those of types included', () => {
    const round = files({
      'a/one.ts': "import type { Two } from './two.ts';",
      'a/two.ts': "import { three } from '../b/three.ts';",
      'b/three.ts': "export * from '../a/one.ts';\nimport './four.ts';",
      'b/four.ts': '',
    });
    expect(fileCycles(round)).toEqual([
      'a/one.ts → a/two.ts → b/three.ts → a/one.ts: files import each other in a circle',
    ]);
  });

  it('of folders are found where no file is in a circle', () => {
    const round = files({
      'sync/plan/one.ts': "import '../fetch/two.ts';",
      'sync/fetch/two.ts': "import './deep/more.ts';",
      'sync/fetch/deep/more.ts': '',
      'sync/fetch/three.ts': "import '../plan/four.ts';",
      'sync/plan/four.ts': "import '../../errors.ts';",
    });
    expect(fileCycles(round)).toEqual([]);
    expect(folderCycles(round, 'sync')).toEqual([
      'sync: fetch → plan → fetch: folders import each other in a circle',
    ]);
    expect(folderCycles(round, 'other')).toEqual([]);
  });
});

describe('files', () => {
  it('of a folder are counted, those of its subfolders are not', () => {
    const three = files({ 'a/1.ts': '', 'a/2.ts': '', 'a/b/3.ts': '' });
    expect(crowdedFolders(three, 2)).toEqual([]);
    expect(crowdedFolders(three, 1)).toEqual(['a has 2 files: a folder has at most 1']);
  });

  it('of functions hold one registration', () => {
    const registration = [
      "import { registerHttp } from '../register-functions.ts';",
      'import {',
      '  handler,',
      "} from '../http/handler.ts';",
      '/** The route. */',
      "registerHttp('name', 'route', () => ({",
      '  handler,',
      '}));',
      '',
    ].join('\n');
    const helper = `${registration}\nfunction helper() {\n  return 1;\n}\n`;
    expect(functionsWithLogic(files({ 'functions/a.ts': registration, 'http/b.ts': helper }), 8)).toEqual([]);
    expect(functionsWithLogic(files({ 'functions/a.ts': helper }), 11)).toEqual([
      'functions/a.ts has 12 lines: a function only registers, in at most 11 lines',
      'functions/a.ts has statements beside one registration: a function only registers its trigger',
    ]);
  });

  it('are searched for words, without their comments', () => {
    const texts = files({
      'sqlite/a.ts': "const etag = '@odata.etag'; // versionnumber",
      'sqlite/b.ts': '/**\n * @odata.etag\n */\nconst url = "http://x//versionnumberless";',
      'other/c.ts': "const a = 'odata';",
    });
    expect(forbiddenWords(texts, ['sqlite'], /odata|versionnumber\b/i, 'the rule')).toEqual([
      'sqlite/a.ts says "odata": the rule',
    ]);
  });

  it('are kept out of folders and inside folders', () => {
    const texts = files({
      'local/a.ts': "import '../errors.ts';\nimport './b.ts';",
      'local/b.ts': '',
      'http/c.ts': "import '../local/b.ts';",
    });
    expect(importsInto(texts, 'local', 'the rule')).toEqual(['http/c.ts imports local/b.ts: the rule']);
    expect(importsOutOf(texts, 'local', 'the rule')).toEqual(['local/a.ts imports errors.ts: the rule']);
  });
});

it('packages are found by their names', () => {
  const texts = files({
    'a.ts': "import { a } from '@azure/identity/deep';\nimport 'node:fs';\nimport './b.ts';",
    'b.ts': "const b = await import('zod/mini');\nimport 'this-package/client';",
  });
  expect(Object.fromEntries(importedPackages(texts, 'this-package'))).toEqual({
    '@azure/identity': 'a.ts',
    zod: 'b.ts',
  });
});

import { posix } from 'node:path';

/**
 * The checks behind architecture.test.ts. Each takes source files as a map from their path, relative to `src`, to
 * their text, and returns one sentence per violation: the file, what it does, and the rule.
 */
export type SourceFiles = ReadonlyMap<string, string>;

/**
 * The modules that a file imports: `import`, `export … from`, `import()` and `import('…')` in types.
 * Files in this project start such a statement at the beginning of a line, because Biome formats them.
 */
export function importsOf(text: string): string[] {
  const statements = /^(?:(?:import|export)\b[^'";]*?\bfrom |import )'([^']+)'/gm;
  const expressions = /\bimport\(\s*'([^']+)'/g;
  const code = withoutComments(text);
  const found = [...code.matchAll(statements), ...code.matchAll(expressions)];
  return [...new Set(found.map(([, module]) => module!))];
}

/** The text without comments. A comment starts at the beginning of a line or after a blank, as Biome writes it. */
export function withoutComments(text: string): string {
  return text.replaceAll(/(?<=^|\s)\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, '');
}

/** The files of `src` that a file imports. */
function importedFiles(path: string, text: string): string[] {
  return importsOf(text)
    .filter((module) => module.startsWith('.'))
    .map((module) => posix.join(posix.dirname(path), module));
}

/** The first folder of a path, or the file itself where it lies directly in `src`. */
const unitOf = (path: string): string => path.split('/', 1)[0]!;

/**
 * Imports between folders that the layers do not allow.
 * @param layers folders, and files directly in `src`, from the top down: each may import from the layers below its own
 * @param neighbours imports allowed within a layer, as `from → to`
 */
export function layerViolations(
  files: SourceFiles,
  layers: readonly (readonly string[])[],
  neighbours: readonly string[] = [],
): string[] {
  const layerOf = new Map(layers.flatMap((units, level) => units.map((unit) => [unit, level] as const)));
  const found: string[] = [];
  for (const unit of new Set([...files.keys()].map(unitOf))) {
    if (!layerOf.has(unit)) found.push(`${unit} belongs to no layer`);
  }
  for (const [path, text] of files) {
    const from = unitOf(path);
    for (const imported of importedFiles(path, text)) {
      const to = unitOf(imported);
      const [above, below] = [layerOf.get(from), layerOf.get(to)];
      if (from === to || above === undefined || below === undefined || above < below) continue;
      if (neighbours.includes(`${from} → ${to}`)) continue;
      const where = above === below ? 'in the same layer' : 'in a layer above';
      found.push(`${path} imports ${imported}: ${to} is ${where}, and imports point down`);
    }
  }
  return found;
}

/** Files that import each other in a circle, imports of types included. */
export function fileCycles(files: SourceFiles): string[] {
  const arrows = [...files].map(
    ([path, text]) => [path, importedFiles(path, text).filter((file) => files.has(file))] as const,
  );
  return cyclesOf(new Map(arrows)).map(
    (circle) => `${circle.join(' → ')}: files import each other in a circle`,
  );
}

/** Folders (and files) directly in one folder that import each other in a circle. */
export function folderCycles(files: SourceFiles, folder: string): string[] {
  const childOf = (path: string): string => path.slice(folder.length + 1).split('/', 1)[0]!;
  const arrows = new Map<string, string[]>();
  for (const [path, text] of files) {
    if (!inside(folder, path)) continue;
    const from = childOf(path);
    const to = importedFiles(path, text)
      .filter((file) => inside(folder, file))
      .map(childOf)
      .filter((child) => child !== from);
    arrows.set(from, [...(arrows.get(from) ?? []), ...to]);
  }
  return cyclesOf(arrows).map(
    (circle) => `${folder}: ${circle.join(' → ')}: folders import each other in a circle`,
  );
}

/** One shortest circle through each group of nodes that reach each other, from the group's first name on. */
function cyclesOf(arrows: ReadonlyMap<string, readonly string[]>): string[][] {
  const circles: string[][] = [];
  const reported = new Set<string>();
  for (const start of [...arrows.keys()].sort()) {
    const circle = reported.has(start) ? undefined : shortestCircle(arrows, start);
    if (circle === undefined) continue;
    circles.push(circle);
    for (const node of circle) reported.add(node);
  }
  return circles;
}

function shortestCircle(arrows: ReadonlyMap<string, readonly string[]>, start: string): string[] | undefined {
  const waiting = [[start]];
  const seen = new Set<string>();
  for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
    for (const next of [...(arrows.get(path.at(-1)!) ?? [])].sort()) {
      if (next === start) return [...path, start];
      if (!seen.has(next)) waiting.push([...path, next]);
      seen.add(next);
    }
  }
  return undefined;
}

/** Folders with more files than one list on a screen shows well. */
export function crowdedFolders(files: SourceFiles, limit: number): string[] {
  const counts = new Map<string, number>();
  for (const path of files.keys()) {
    const folder = posix.dirname(path);
    counts.set(folder, (counts.get(folder) ?? 0) + 1);
  }
  return [...counts].flatMap(([folder, count]) =>
    count > limit ? [`${folder} has ${count} files: a folder has at most ${limit}`] : [],
  );
}

/** Files of `functions` that do more than register one trigger: they hold imports and one call of `registerHttp` and the like. */
export function functionsWithLogic(files: SourceFiles, maxLines: number): string[] {
  const found: string[] = [];
  for (const [path, text] of files) {
    if (unitOf(path) !== 'functions') continue;
    const lines = text.trimEnd().split('\n').length;
    if (lines > maxLines)
      found.push(`${path} has ${lines} lines: a function only registers, in at most ${maxLines} lines`);
    const statements = withoutComments(text)
      .split('\n')
      .filter((line) => /^[^\s})\]]/.test(line) && !/^import\b/.test(line));
    const other = statements.filter((line) => !/^register(?:Http|Queue|Timer)\(/.test(line));
    if (other.length > 0 || statements.length !== 1)
      found.push(`${path} has statements beside one registration: a function only registers its trigger`);
  }
  return found;
}

/** Files under the folders whose code matches a pattern, comments left out. */
export function forbiddenWords(
  files: SourceFiles,
  folders: readonly string[],
  words: RegExp,
  rule: string,
): string[] {
  const found: string[] = [];
  for (const [path, text] of files) {
    if (!folders.some((folder) => inside(folder, path))) continue;
    const matches = withoutComments(text).matchAll(new RegExp(words, 'g'));
    for (const match of new Set([...matches].map(([match]) => match)))
      found.push(`${path} says "${match}": ${rule}`);
  }
  return found;
}

/** Files outside the folder `to` that import a file in it. */
export function importsInto(files: SourceFiles, to: string, rule: string): string[] {
  return crossings(files, rule, (path, imported) => !inside(to, path) && inside(to, imported));
}

/** Files in the folder `from` that import a file outside it. */
export function importsOutOf(files: SourceFiles, from: string, rule: string): string[] {
  return crossings(files, rule, (path, imported) => inside(from, path) && !inside(from, imported));
}

const inside = (folder: string, path: string): boolean => path.startsWith(`${folder}/`);

function crossings(
  files: SourceFiles,
  rule: string,
  isForbidden: (path: string, imported: string) => boolean,
): string[] {
  return [...files].flatMap(([path, text]) =>
    importedFiles(path, text)
      .filter((imported) => isForbidden(path, imported))
      .map((imported) => `${path} imports ${imported}: ${rule}`),
  );
}

/** The packages that the files import, each with a file that does; without Node's own modules and this package. */
export function importedPackages(files: SourceFiles, ownName: string): Map<string, string> {
  const packages = new Map<string, string>();
  for (const [path, text] of files) {
    for (const module of importsOf(text)) {
      if (/^(?:\.|node:)/.test(module)) continue;
      const name = module.split('/', module.startsWith('@') ? 2 : 1).join('/');
      if (name !== ownName) packages.set(name, path);
    }
  }
  return packages;
}

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';

/**
 * Writes the declarations of the entries and of the files that these refer to, and no others.
 * @throws Error if one of them refers to a package: whoever installs this package need not have it
 */
export function writeDeclarations(root: string, out: string, entryPoints: readonly string[]): void {
  const all = mkdtempSync(join(tmpdir(), 'declarations-'));
  try {
    const tsc = createRequire(join(root, 'package.json')).resolve('typescript/package.json');
    const options = ['--declaration', '--emitDeclarationOnly', '--noEmit', 'false', '--stripInternal'];
    const places = ['--rootDir', join(root, 'src'), '--outDir', all];
    const project = ['-p', join(root, 'src/library/tsconfig.json')];
    execFileSync(process.execPath, [join(dirname(tsc), 'bin/tsc'), ...project, ...options, ...places], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const waiting = entryPoints.map((path) => join(all, relative('src', path).replace(/\.ts$/, '.d.ts')));
    const copied = new Set<string>();
    for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
      if (copied.has(file)) continue;
      copied.add(file);
      const text = readFileSync(file, 'utf8');
      const copy = join(out, relative(all, file));
      mkdirSync(dirname(copy), { recursive: true });
      // The compiler leaves the endings of the sources in declarations.
      writeFileSync(copy, text.replaceAll(/(\bfrom '\.[^']*)\.ts'/g, "$1.js'"));
      // Examples in comments import packages.
      const code = text.replaceAll(/\/\*[\s\S]*?\*\//g, '');
      for (const [, module = ''] of code.matchAll(/\b(?:from|import)\s*\(?'([^']+)'/g)) {
        if (!module.startsWith('.'))
          throw new Error(`${relative(all, file)} refers to the package ${module}`);
        waiting.push(join(dirname(file), module.replace(/\.[jt]s$/, '.d.ts')));
      }
    }
  } finally {
    rmSync(all, { recursive: true });
  }
}

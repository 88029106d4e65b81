import { isBuiltin } from 'node:module';
import type { Plugin } from 'esbuild';

/**
 * Turns `require('net')` in CommonJS packages into an import of `node:net`. An ES module has no `require`, and making one from
 * the module's address would fail in a program that is bundled again.
 */
export const importBuiltins: Plugin = {
  name: 'import builtins',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^[\w:/]+$/ }, ({ path, kind }) =>
      kind === 'require-call' && isBuiltin(path)
        ? { path: path.replace(/^node:/, ''), namespace: 'required' }
        : undefined,
    );
    onLoad({ filter: /./, namespace: 'required' }, ({ path }) => ({
      contents: `module.exports = require('imported:${path}').default;`,
    }));
    onResolve({ filter: /^imported:/ }, ({ path }) => ({
      path: path.replace('imported:', ''),
      namespace: 'imported',
    }));
    onLoad({ filter: /./, namespace: 'imported' }, ({ path }) => ({
      contents: `export { default } from 'node:${path}';`,
    }));
  },
};

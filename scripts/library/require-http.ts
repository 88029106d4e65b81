import type { Plugin } from 'esbuild';

/**
 * Loads `node:http` with `require`. An import of it reads every export once, `WebSocket` among them, for which Node.js loads its
 * whole client of the Fetch API: 30 ms of processor time that no command needs.
 */
export const requireHttp: Plugin = {
  name: 'require http',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(?:node:)?http$/ }, ({ kind, namespace }) =>
      kind === 'import-statement' && namespace !== 'http' ? { path: 'http', namespace: 'http' } : undefined,
    );
    onLoad({ filter: /./, namespace: 'http' }, () => ({
      contents: "module.exports = require('node:http');",
      loader: 'js',
    }));
  },
};

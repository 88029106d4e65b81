/**
 * The built app in the local functions host, in a process of its own: an app can be loaded once per process, and Node
 * reads certificate authorities at its start. Talks to app-process.ts.
 */
import { resolve } from 'node:path';
import { startFunctionsHost } from '../../src/local/functions-host/host.ts';

const host = await startFunctionsHost({
  appRoot: resolve(import.meta.dirname, '../..'),
  settings: {},
  connectionString: process.env['AzureWebJobsStorage']!,
  log: (entry) => process.send!({ kind: 'log', ...entry }),
});

process.on('message', async (request: { kind: string }) => {
  if (request.kind === 'timer') {
    await host.invokeTimer('syncTimer');
    process.send!({ kind: 'done' });
  } else if (request.kind === 'usage') {
    const { user, system } = process.cpuUsage();
    process.send!({ kind: 'usage', cpuSeconds: (user + system) / 1e6, rss: process.memoryUsage.rss() });
  } else {
    await host.stop();
    process.exit();
  }
});
process.send!({ kind: 'ready', url: host.url, key: host.masterKey });

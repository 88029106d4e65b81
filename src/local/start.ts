import { enableCompileCache } from 'node:module';
import { resolve } from 'node:path';
import { keepLoopbackDirect } from '../config/proxy-environment.ts';
import { printableJson } from '../safe-text.ts';
import { helpText, parseStartOptions, type StartOptions, UsageError } from './start-options.ts';

/** The command behind `npm start`. It loads the large modules only once the options are valid. */
async function main(): Promise<number> {
  // Everything that this process writes is for its user alone: rows, keys, logs.
  process.umask(0o077);
  let options: StartOptions | 'help';
  try {
    options = parseStartOptions(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${error.message}\n\n${helpText}`);
    return 2;
  }
  if (options === 'help') {
    process.stdout.write(helpText);
    return 0;
  }
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      stop.abort();
      process.once(signal, () => process.exit(130));
    });
  }
  keepLoopbackDirect();
  enableCompileCache();
  const [{ runLocally }, { describeError, describeForLog }] = await Promise.all([
    import('./run-locally.ts'),
    import('../errors.ts'),
  ]);
  try {
    return await runLocally(resolve(import.meta.dirname, '../..'), options, stop.signal);
  } catch (error) {
    const { message, hint } = describeError(error);
    process.stderr.write(`Error: ${describeForLog(error)}\n${hint === undefined ? '' : `  → ${hint}\n`}`);
    if (options.json) process.stdout.write(`${printableJson({ phase: 'failed', error: message, hint })}\n`);
    return 1;
  }
}

// Exit explicitly: keep-alive connections and Azurite's timers would keep the process running.
process.exit(await main());

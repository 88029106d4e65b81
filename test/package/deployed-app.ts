import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { compileCache } from '../compile-cache.ts';

/** A package that runs in a process of its own, as it would on Azure. */
export interface DeployedApp {
  url: string;
  /** Names of the registered functions. */
  functions: string[];
  functionKey: string;
  /** What the process wrote to standard error: the log of the host and the app. */
  log(): string;
  fetch(path: string, init?: RequestInit): Promise<Response>;
  stop(): void;
}

/** Tests wait for each message, which the host finds when it looks. */
const queuesOften = { AzureFunctionsJobHost__extensions__queues__maxPollingInterval: '00:00:00.300' };

/**
 * Starts a deployment package in the functions host of this repository.
 * @param env all environment variables of the app: nothing is inherited
 * @param cwd the working directory
 */
export async function deploy(folder: string, env: Record<string, string>, cwd: string): Promise<DeployedApp> {
  const script = join(import.meta.dirname, 'run-host.ts');
  const child = spawn(process.execPath, [script, folder], {
    cwd,
    env: { ...compileCache, ...queuesOften, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const endWithUs = () => child.kill('SIGKILL');
  process.once('exit', endWithUs);
  let log = '';
  child.stderr.on('data', (chunk) => {
    log += chunk;
  });
  const started = await new Promise<Pick<DeployedApp, 'url' | 'functions' | 'functionKey'>>(
    (resolve, reject) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (line.startsWith('{')) resolve(JSON.parse(line));
      });
      child.once('exit', (code) => reject(new Error(`The app ended with ${code}:\n${log}`)));
    },
  );
  return {
    ...started,
    log: () => log,
    fetch: (path, init) =>
      fetch(`${started.url}/api/${path}`, {
        ...init,
        headers: { 'x-functions-key': started.functionKey, ...init?.headers },
      }),
    stop: () => {
      process.off('exit', endWithUs);
      child.kill('SIGKILL');
    },
  };
}

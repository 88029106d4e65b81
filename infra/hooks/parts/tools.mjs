// What both hooks use: values of azd, the Azure CLI, requests with a limit, and messages.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const executeFile = promisify(execFile);

/** A problem that the user can solve: what happened, and what to do. */
export class Problem extends Error {
  /**
   * @param {string} message what happened
   * @param {string} remedy the next step
   * @param {boolean} [isFinal] whether waiting cannot help
   */
  constructor(message, remedy, isFinal = false) {
    super(message);
    this.remedy = remedy;
    this.isFinal = isFinal;
  }
}

/**
 * A value of azd's environment, which azd passes to hooks.
 * @param {string} name
 * @returns {string}
 */
export function value(name) {
  const text = process.env[name]?.trim() ?? '';
  if (text === '') {
    throw new Problem(`azd has no value of ${name}.`, 'Run `azd provision`, which sets it.');
  }
  return text;
}

/**
 * Runs the Azure CLI and returns what it prints.
 * @param {string[]} args without secrets: they can be seen in the list of processes
 * @returns {Promise<string>}
 */
export async function az(...args) {
  try {
    // On Windows az is a script, which only a shell can start.
    const { stdout } = await executeFile('az', [...args, '--output', 'tsv'], {
      shell: process.platform === 'win32',
      timeout: 120_000,
    });
    return stdout.trim();
  } catch (error) {
    if (error.code === 'ENOENT') {
      throw new Problem('The Azure CLI (az) is not installed.', 'Install it: https://aka.ms/azure-cli');
    }
    const lines = String(error.stderr ?? error.message)
      .trim()
      .split('\n');
    throw new Problem(
      `az ${args.slice(0, 3).join(' ')} failed: ${lines.at(-1)}`,
      'Sign in with `az login`, with an account that may manage the resource group, then try again.',
    );
  }
}

/**
 * Runs a program to its end.
 * @param {string} file
 * @param {string[]} args without secrets
 * @param {import('node:child_process').ExecFileOptions} options
 * @returns {Promise<{ status: number | string, output: string }>} what it printed; status is a code such as ENOENT if it
 *   did not start
 */
export async function execute(file, args, options) {
  try {
    const { stdout, stderr } = await executeFile(file, args, { timeout: 300_000, ...options });
    return { status: 0, output: `${stdout}${stderr}`.trim() };
  } catch (error) {
    const output = `${error.stdout ?? ''}${error.stderr ?? ''}`.trim();
    return {
      status: error.code ?? 1,
      output: output || `${file} does not run (${error.code ?? error.signal})`,
    };
  }
}

/**
 * Sends a request that follows no redirect.
 * @param {string} url
 * @param {RequestInit} [options]
 * @param {number} [seconds] how long it may take
 * @returns {Promise<{ status: number, body: any, text: string, headers: Headers }>} status 0: no answer; text says why
 */
export async function request(url, options = {}, seconds = 30) {
  try {
    const response = await fetch(url, {
      redirect: 'manual',
      signal: AbortSignal.timeout(seconds * 1000),
      ...options,
    });
    const text = await response.text();
    return { status: response.status, body: parse(text), text, headers: response.headers };
  } catch (error) {
    const text = error.cause?.code ?? error.name;
    return { status: 0, body: undefined, text, headers: new Headers() };
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @param {number} seconds */
export const wait = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** @param {string[]} lines */
export const say = (...lines) => console.log(lines.join('\n'));

/**
 * Runs a hook. A problem becomes two lines and the exit status 1.
 * @param {() => Promise<void>} hook
 */
export async function runHook(hook) {
  try {
    await hook();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    console.error(`\nProblem: ${error.message}\nWhat to do: ${error.remedy}`);
    process.exitCode = 1;
  }
}

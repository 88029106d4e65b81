// What all hooks use: values of azd, the Azure CLI, requests with a limit, and messages.
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

const correctAddress = 'Correct it: azd env set DATAVERSE_URL https://contoso.crm.dynamics.com';

/**
 * The address of the Dataverse environment, as the app accepts it: src/config/environment-url.ts.
 * @param {string} text the value of DATAVERSE_URL
 * @param {string} [remedy] how to correct it
 * @returns {string} its origin
 */
export function environmentAddress(text, remedy = correctAddress) {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isLocal = url?.protocol === 'http:' && url.hostname === '127.0.0.1';
  const isBare = url !== null && /^\/(?:api\/data\/v9\.\d+\/?)?$/.test(url.pathname) && url.search === '';
  if (isBare && (url.protocol === 'https:' || isLocal) && url.username === '' && url.password === '')
    return url.origin;
  throw new Problem(
    `DATAVERSE_URL must be an https address without a path, not "${text.replace(/\/\/.*@/s, '//')}".`,
    remedy,
  );
}

/** How az says that the account is not signed in, or lacks a right. Another attempt cannot help. */
const isRefused = /AuthorizationFailed|does not have authorization|\baz login\b|ExpiredAuthenticationToken/i;

/**
 * Whether az is not there. On Windows the shell says so, with exit code 1 and in its own language: the name in quotes at the
 * beginning of a sentence. What az itself says begins with ERROR and a colon.
 */
const isAbsent = ({ code, stderr = '' }) =>
  code === 'ENOENT' || code === 9009 || (code === 1 && /^[^\n:]*["']az["']/.test(String(stderr).trim()));

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
    if (isAbsent(error)) {
      throw new Problem('The Azure CLI (az) is not installed.', 'Install it: https://aka.ms/azure-cli', true);
    }
    const said = String(error.stderr ?? error.message).trim();
    throw new Problem(
      `az ${args.slice(0, 3).join(' ')} failed: ${said.split('\n').at(-1)}`,
      'Sign in with `az login`, with an account that may manage the resource group, then try again.',
      isRefused.test(said),
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

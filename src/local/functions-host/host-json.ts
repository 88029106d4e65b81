import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeText } from '../../config/read-text.ts';
import { ConfigurationError } from '../../errors.ts';
import { parseTimeSpan } from './timers/time-span.ts';

/** Options of queue triggers (learn.microsoft.com: Azure Queue storage bindings, "host.json settings"). */
export interface QueueOptions {
  batchSize: number;
  newBatchThreshold: number;
  maxDequeueCount: number;
  /** Milliseconds before a failed message is visible again. */
  visibilityTimeout: number;
  /** Maximum milliseconds between two polls of an empty queue. */
  maxPollingInterval: number;
  messageEncoding: 'base64' | 'none';
}

/** The part of host.json that this host supports. */
export interface HostJson {
  queues: QueueOptions;
  routePrefix: string;
  /** Maximum milliseconds of an invocation; Infinity for "-1". */
  functionTimeout: number;
  /** Log category or its prefix → the lowest level that is logged. */
  logLevels: Readonly<Record<string, string>>;
}

type Json = { [key: string]: Json | string | number | boolean | undefined };

const OVERRIDE = 'AzureFunctionsJobHost__';

/**
 * Reads `<appRoot>/host.json`. A setting `AzureFunctionsJobHost__a__b` overrides `a.b`, as on Azure
 * (learn.microsoft.com: host.json reference, "Override host.json values").
 *
 * @throws ConfigurationError if the file is absent or not JSON, or a value is out of range
 */
export async function readHostJson(
  appRoot: string,
  settings: Readonly<Record<string, string | undefined>>,
): Promise<HostJson> {
  const file = join(appRoot, 'host.json');
  let json: Json;
  try {
    json = JSON.parse(decodeText(await readFile(file))) as Json;
  } catch (cause) {
    throw new ConfigurationError(`Cannot read ${file}: ${(cause as Error).message}`, { object: file, cause });
  }
  for (const [name, value] of Object.entries(settings)) {
    if (name.startsWith(OVERRIDE) && value !== undefined)
      override(json, name.slice(OVERRIDE.length).split('__'), value);
  }
  const queues = child(child(json, 'extensions'), 'queues');
  const batchSize = integer(queues, 'batchSize', 16, 1, 32);
  const encoding = text(queues, 'messageEncoding', 'base64').toLowerCase();
  if (encoding !== 'base64' && encoding !== 'none') {
    throw new ConfigurationError(`host.json: messageEncoding must be "base64" or "none", not "${encoding}"`);
  }
  const timeout = text(json, 'functionTimeout', '00:30:00');
  return {
    queues: {
      batchSize,
      newBatchThreshold: integer(queues, 'newBatchThreshold', Math.floor(batchSize / 2), 0, 1000),
      maxDequeueCount: integer(queues, 'maxDequeueCount', 5, 1, 1000),
      visibilityTimeout: span(queues, 'visibilityTimeout', '00:00:00'),
      maxPollingInterval: Math.max(100, span(queues, 'maxPollingInterval', '00:00:02')),
      messageEncoding: encoding,
    },
    routePrefix: text(child(child(json, 'extensions'), 'http'), 'routePrefix', 'api').replace(
      /^\/+|\/+$/g,
      '',
    ),
    functionTimeout:
      timeout === '-1' ? Number.POSITIVE_INFINITY : parseTimeSpan(timeout, 'host.json: functionTimeout'),
    logLevels: child(child(json, 'logging'), 'logLevel') as Record<string, string>,
  };
}

function override(json: Json, path: string[], value: string): void {
  const key = keyOf(json, path[0]!) ?? path[0]!;
  if (path.length === 1) {
    json[key] = value;
    return;
  }
  const existing = json[key];
  const inner: Json = existing !== null && typeof existing === 'object' ? existing : {};
  json[key] = inner;
  override(inner, path.slice(1), value);
}

/** The host ignores letter case in host.json. */
function keyOf(json: Json, name: string): string | undefined {
  return Object.keys(json).find((key) => key.toLowerCase() === name.toLowerCase());
}

function settingOf(json: Json, name: string): Json[string] {
  const key = keyOf(json, name);
  return key === undefined ? undefined : json[key];
}

function child(json: Json, name: string): Json {
  const value = settingOf(json, name);
  return value !== null && typeof value === 'object' ? value : {};
}

function text(json: Json, name: string, fallback: string): string {
  return String(settingOf(json, name) ?? fallback);
}

function span(json: Json, name: string, fallback: string): number {
  return parseTimeSpan(text(json, name, fallback), `host.json: ${name}`);
}

function integer(json: Json, name: string, fallback: number, min: number, max: number): number {
  const number = Number(settingOf(json, name) ?? fallback);
  if (Number.isInteger(number) && number >= min && number <= max) return number;
  throw new ConfigurationError(
    `host.json: ${name} must be a whole number from ${min} to ${max}, not ${settingOf(json, name)}`,
    { object: name },
  );
}

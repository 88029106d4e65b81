import { randomBytes } from 'node:crypto';
import { ConfigurationError } from '../../errors.ts';
import { installCoreApi, type RegisteredFunction, triggerOf } from './core-api.ts';
import { readHostJson } from './host-json.ts';
import { HttpListener } from './http/http-listener.ts';
import { type InvocationEvent, Invoker } from './invoker.ts';
import { loadApp } from './load-app.ts';
import { filteredLog, type Log, type LogEntry } from './log.ts';
import { OutputBindings } from './output-bindings.ts';
import { QueueListener } from './queues/queue-listener.ts';
import { Queues } from './queues/queues.ts';
import { resolveSettings } from './resolve-settings.ts';
import { TimerListener } from './timers/timer-listener.ts';

export interface FunctionsHostOptions {
  /** The folder with host.json and package.json. */
  appRoot: string;
  /** App settings. They are assigned to `process.env` before the app loads. */
  settings: Record<string, string>;
  /** The port for HTTP. Absent or 0: any free port. */
  port?: number;
  /** The connection string for `AzureWebJobsStorage`. */
  connectionString: string;
  /** Absent: a new key at each start. */
  functionKey?: string;
  /**
   * Seconds for which a queue message is hidden while its function runs; renewed at half. On Azure it is 600.
   *
   * @default 60, so that the messages of a killed process are soon visible again
   */
  hiddenSeconds?: number;
  /** Calls its listener with the name of a queue that has a new message, so that it need not be polled often. */
  onQueueMessage?: (listener: (queue: string) => void) => void;
  log?: Log;
}

export interface FunctionsHost {
  /** Without a trailing slash, for example `http://127.0.0.1:7071`. */
  url: string;
  functions: { name: string; trigger: string }[];
  /** For `?code=` or the header `x-functions-key`. */
  functionKey: string;
  /** Also valid for `authLevel: 'admin'` and `POST /admin/functions/{name}`. */
  masterKey: string;
  /** Runs a timer function now, with its retries. @throws the error of the last try */
  invokeTimer(name: string): Promise<void>;
  /**
   * Accepts no more work, waits up to `limit` milliseconds for running invocations, then makes their messages visible
   * again.
   *
   * @param options.limit default 5,000
   */
  stop(options?: { limit?: number }): Promise<void>;
  /** Calls the listener at the start and the end of each invocation. Returns a function that removes the listener. */
  onInvocation(listener: (event: InvocationEvent) => void): () => void;
}

/**
 * Replaces the Azure Functions host on this machine: loads the built app, receives its registrations from
 * `@azure/functions`, and runs its timers, HTTP routes and queues. A process can have one app only.
 *
 * @throws ConfigurationError if the app, its settings or the port are not valid
 */
export async function startFunctionsHost(options: FunctionsHostOptions): Promise<FunctionsHost> {
  Object.assign(process.env, { AzureWebJobsStorage: options.connectionString }, options.settings);
  const settings = process.env;
  const hostJson = await readHostJson(options.appRoot, settings);
  const log = filteredLog(hostJson.logLevels, options.log ?? (() => undefined));
  const app = installCoreApi((level, _category, message) => log({ level, category: 'Worker', message }));
  await loadApp(options.appRoot);
  app.close();
  const model = app.programmingModel;
  if (model === undefined) {
    throw new ConfigurationError('The app registers no functions', {
      object: options.appRoot,
      hint: 'Call app.http, app.timer or app.storageQueue of @azure/functions 4 in its files.',
    });
  }
  const { HttpUri } = (await model.getCapabilities?.({})) ?? {};
  await app.runHooks('appStart', { hookData: app.hookData, functionAppDirectory: options.appRoot });

  const queues = new Queues(settings, hostJson.queues.messageEncoding);
  const invoker = new Invoker(app, new OutputBindings(queues), log, hostJson.functionTimeout);
  const functionKey = options.functionKey ?? newKey();
  const masterKey = newKey();
  const queueListeners = new Map<string, QueueListener>();
  const timers = new Map<string, TimerListener>();
  const httpFunctions: RegisteredFunction[] = [];
  const functions: FunctionsHost['functions'] = [];

  for (const { metadata, callback } of app.functions.values()) {
    const { name } = metadata;
    if (isDisabled(name, settings)) continue;
    const where = `Function ${name}`;
    const bindings = resolveSettings(metadata.bindings, settings, where);
    const fn: RegisteredFunction = { metadata: { ...metadata, bindings }, callback };
    OutputBindings.check(fn.metadata);
    const [, trigger] = triggerOf(fn.metadata);
    functions.push({ name, trigger: trigger.type });
    if (trigger.type === 'httpTrigger') {
      httpFunctions.push(fn);
    } else if (trigger.type === 'timerTrigger') {
      timers.set(name, new TimerListener({ fn, invoker, log }));
    } else if (trigger.type === 'queueTrigger') {
      const queueName = String(trigger['queueName']);
      const queue = queues.get(queueName, trigger['connection']);
      const poisonQueue = queues.get(`${queueName}-poison`, trigger['connection']);
      const { hiddenSeconds = 60 } = options;
      const queueOptions = hostJson.queues;
      queueListeners.set(
        name,
        new QueueListener({ fn, queue, poisonQueue, queueOptions, invoker, log, hiddenSeconds }),
      );
    } else {
      const message = `${where}: the local functions host does not support the trigger ${trigger.type}.`;
      log({ level: 'warning', category: 'Host.Startup', message });
    }
  }

  const http = new HttpListener({
    functions: httpFunctions,
    routePrefix: hostJson.routePrefix,
    invoker,
    functionKey,
    masterKey,
    streamUri: HttpUri,
    invokeByName: (name, input) => queueListeners.get(name)?.invoke(input) ?? timers.get(name)?.invoke(),
  });
  const url = await http.start(options.port ?? 0);
  try {
    await Promise.all([...queueListeners.values()].map((listener) => listener.start()));
  } catch (error) {
    http.close();
    await Promise.all([...queueListeners.values()].map((listener) => listener.stop()));
    throw error;
  }
  options.onQueueMessage?.((name) => queues.wake(name));
  for (const timer of timers.values()) timer.start();
  const message = `${functions.length} functions found at ${url}`;
  log({ level: 'information', category: 'Host.Startup', message });

  let stopped: Promise<void> | undefined;
  const stop = async (limit: number): Promise<void> => {
    http.close();
    await Promise.all([...timers.values(), ...queueListeners.values()].map((listener) => listener.stop()));
    if (!(await invoker.drain(limit))) {
      const message = `${invoker.running} invocations still run after ${limit} ms. Their messages become visible again.`;
      log({ level: 'warning', category: 'Host.Shutdown', message });
    }
    await Promise.all([...queueListeners.values()].map((listener) => listener.releaseAll()));
    http.abort();
    await app.runHooks('appTerminate', { hookData: app.hookData });
  };
  return {
    url,
    functions,
    functionKey,
    masterKey,
    invokeTimer: async (name) => {
      const timer = timers.get(name);
      if (timer === undefined)
        throw new ConfigurationError(`Timer function "${name}" not found`, { object: name });
      return timer.invoke();
    },
    stop: ({ limit = 5000 } = {}) => {
      stopped ??= stop(limit);
      return stopped;
    },
    onInvocation: (listener) => invoker.onInvocation(listener),
  };
}

/** learn.microsoft.com: How to disable functions in Azure Functions. */
function isDisabled(name: string, settings: Readonly<Record<string, string | undefined>>): boolean {
  const setting = settings[`AzureWebJobs.${name}.Disabled`] ?? settings[`AzureWebJobs__${name}__Disabled`];
  return setting?.toLowerCase() === 'true' || setting === '1';
}

/** A key that needs no escaping in a URL. */
function newKey(): string {
  return randomBytes(30).toString('base64url');
}

export type { InvocationEvent, Log, LogEntry };

import { randomBytes } from 'node:crypto';
import { ConfigurationError } from '../../errors.ts';
import { installCoreApi, type RegisteredFunction } from './core-api.ts';
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
  /** App settings; put into `process.env` before the app loads. */
  settings: Record<string, string>;
  /** The port for HTTP; any free one where absent or 0. */
  port?: number;
  /** The storage that `AzureWebJobsStorage` stands for. */
  connectionString: string;
  /** Made anew at each start where absent. */
  functionKey?: string;
  /**
   * Seconds that a queue message stays hidden while its function runs; renewed at half. On Azure it is 600;
   * here 60, so that the messages of a killed process come back soon.
   */
  hiddenSeconds?: number;
  log?: Log;
}

export interface FunctionsHost {
  /** Without a slash at the end, such as `http://127.0.0.1:7071`. */
  url: string;
  functions: { name: string; trigger: string }[];
  /** For `?code=` or the header `x-functions-key`. */
  functionKey: string;
  /** Opens `authLevel: 'admin'` and `POST /admin/functions/{name}` too. */
  masterKey: string;
  /** Runs a timer function now, with its retries. @throws what its last try threw. */
  invokeTimer(name: string): Promise<void>;
  /** Takes no more work, waits for what runs up to `limit` milliseconds (5,000), then gives messages back. */
  stop(options?: { limit?: number }): Promise<void>;
  /** Tells of every invocation's start and end; returns how to stop that. */
  onInvocation(listener: (event: InvocationEvent) => void): () => void;
}

/**
 * Stands in for the Azure Functions host: loads the built app, takes its registrations through
 * `@azure/functions` itself, and runs its timers, HTTP routes and queues on this machine. One app per process.
 *
 * @throws ConfigurationError for what is wrong with the app, its settings or the port.
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
    throw new ConfigurationError('The app registered no function', {
      object: options.appRoot,
      hint: 'Its files must call app.http, app.timer or app.storageQueue of @azure/functions 4.',
    });
  }
  const { HttpUri } = (await model.getCapabilities?.({})) ?? {};
  await app.runHooks('appStart', { hookData: app.hookData, functionAppDirectory: options.appRoot });

  const queues = new Queues(settings, hostJson.queues.messageEncoding);
  const invoker = new Invoker(app, new OutputBindings(queues), log, hostJson.functionTimeout);
  const functionKey = options.functionKey ?? newKey();
  const masterKey = newKey();
  const queueListeners: QueueListener[] = [];
  const timers = new Map<string, TimerListener>();
  const httpFunctions: RegisteredFunction[] = [];
  const byQueue = new Map<string, RegisteredFunction>();
  const functions: FunctionsHost['functions'] = [];

  for (const { metadata, callback } of app.functions.values()) {
    const { name } = metadata;
    if (isDisabled(name, settings)) continue;
    const where = `Function ${name}`;
    const bindings = resolveSettings(metadata.bindings, settings, where);
    const fn: RegisteredFunction = { metadata: { ...metadata, bindings }, callback };
    OutputBindings.check(fn.metadata);
    const trigger = Object.values(bindings)[0]!;
    functions.push({ name, trigger: trigger.type });
    if (trigger.type === 'httpTrigger') {
      httpFunctions.push(fn);
    } else if (trigger.type === 'timerTrigger') {
      timers.set(name, new TimerListener({ fn, invoker, log }));
    } else if (trigger.type === 'queueTrigger') {
      const queueName = String(trigger['queueName']);
      const queue = queues.get(queueName, trigger['connection']);
      const poisonQueue = queues.get(`${queueName}-poison`, trigger['connection']);
      queueListeners.push(
        new QueueListener({
          fn,
          queue,
          poisonQueue,
          queueOptions: hostJson.queues,
          invoker,
          log,
          hiddenSeconds: options.hiddenSeconds ?? 60,
        }),
      );
      byQueue.set(name, fn);
    } else {
      const message = `${where} has a ${trigger.type}, which the local functions host does not run.`;
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
    invokeByName: (name, input) => {
      const fn = byQueue.get(name);
      if (fn === undefined) return timers.get(name)?.invoke();
      const [trigger] = Object.keys(fn.metadata.bindings);
      const data = { string: input };
      return invoker
        .invoke(fn, {
          reason: 'This function was programmatically called.',
          inputData: [{ name: trigger!, data }],
        })
        .then(() => undefined);
    },
  });
  const url = await http.start(options.port ?? 0);
  try {
    await Promise.all(queueListeners.map((listener) => listener.start()));
  } catch (error) {
    http.close();
    await Promise.all(queueListeners.map((listener) => listener.stop()));
    throw error;
  }
  for (const timer of timers.values()) timer.start();
  log({
    level: 'information',
    category: 'Host.Startup',
    message: `${functions.length} functions found at ${url}`,
  });

  let stopped: Promise<void> | undefined;
  const stop = async (limit: number): Promise<void> => {
    http.close();
    await Promise.all([...timers.values(), ...queueListeners].map((listener) => listener.stop()));
    if (!(await invoker.drain(limit))) {
      const message = `${invoker.running} invocations still run after ${limit} ms; their messages are given back.`;
      log({ level: 'warning', category: 'Host.Shutdown', message });
    }
    await Promise.all(queueListeners.map((listener) => listener.abandon()));
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
        throw new ConfigurationError(`There is no timer function "${name}"`, { object: name });
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

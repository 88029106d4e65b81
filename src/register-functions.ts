import {
  app,
  type HttpFunctionOptions,
  type StorageQueueFunctionOptions,
  type TimerFunctionOptions,
} from '@azure/functions';
import type { Environment } from './config/environments/environment.ts';
import { appEnvironments } from './config/environments/read-environments.ts';
import { inInvocation } from './telemetry/invocation-log.ts';

/*
 * How the files of src/functions register with the host: once for each environment of the app, under names, queues and
 * addresses of its own (config/environments/environment.ts).
 */

/**
 * Registers an HTTP function.
 * @param route below `/api`; of an environment of environments.json below `/api/environments/{name}`
 */
export function registerHttp(
  name: string,
  route: string,
  options: (environment: Environment) => Omit<HttpFunctionOptions, 'route'>,
): void {
  for (const environment of appEnvironments()) {
    app.http(environment.functionName(name), { ...options(environment), route: environment.route(route) });
  }
}

/**
 * Registers a function that receives the messages of a queue.
 * @param queue its name where no prefix is set
 * @param handler is given the name of the queue in this app
 */
export function registerQueue(
  name: string,
  queue: string,
  handler: (environment: Environment, queueName: string) => StorageQueueFunctionOptions['handler'],
): void {
  for (const environment of appEnvironments()) {
    const queueName = environment.queueName(queue);
    app.storageQueue(environment.functionName(name), {
      queueName,
      connection: 'AzureWebJobsStorage',
      handler: inInvocation(handler(environment, queueName)),
    });
  }
}

/** Registers a function that runs on `SYNC_SCHEDULE`. */
export function registerTimer(
  name: string,
  handler: (environment: Environment) => TimerFunctionOptions['handler'],
): void {
  for (const environment of appEnvironments()) {
    const { schedule } = environment;
    if (schedule === undefined) continue;
    app.timer(environment.functionName(name), { schedule, handler: inInvocation(handler(environment)) });
  }
}

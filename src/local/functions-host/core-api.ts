import Module from 'node:module';
import type { LogLevel } from './log.ts';

/*
 * The module `@azure/functions-core`, which the Node.js worker provides to `@azure/functions`. It is not a package:
 * the worker answers the `require` for it, and so does this file. The types are the part of the worker's types that
 * this host uses (github.com/Azure/azure-functions-nodejs-worker, types-core).
 */

export interface TypedData {
  string?: string;
  json?: string;
  bytes?: Uint8Array;
  int?: number;
  double?: number;
  http?: HttpData;
}

export interface HttpData {
  method?: string;
  url?: string;
  headers?: Record<string, string>;
  query?: Record<string, string>;
  params?: Record<string, string>;
  body?: TypedData | null;
  statusCode?: string;
  cookies?: HttpCookie[];
}

export interface HttpCookie {
  name?: string;
  value?: string;
  domain?: { value?: string };
  path?: { value?: string };
  expires?: { value?: { seconds?: number } };
  secure?: { value?: boolean };
  httpOnly?: { value?: boolean };
  sameSite?: string;
  maxAge?: { value?: number };
}

/** A trigger or an output with its options, for example `queueName` or `route`. */
export type Binding = { type: string; direction: 'in' | 'out' } & Record<string, unknown>;

export interface FunctionMetadata {
  name: string;
  bindings: Record<string, Binding>;
  retryOptions?: RetryOptions;
}

export interface RetryOptions {
  maxRetryCount: number;
  retryStrategy: 'fixedDelay' | 'exponentialBackoff';
  delayInterval?: { seconds: number };
  minimumInterval?: { seconds: number };
  maximumInterval?: { seconds: number };
}

export interface InvocationRequest {
  inputData: { name: string; data: TypedData }[];
  triggerMetadata?: Record<string, TypedData>;
  traceContext: { traceParent: string };
  retryContext?: { retryCount: number; maxRetryCount: number; exception?: { message: string } };
}

export interface InvocationResponse {
  outputData?: { name: string; data: TypedData }[];
  returnValue?: TypedData | null;
}

export type FunctionCallback = (...args: unknown[]) => unknown;

export interface CoreInvocationContext {
  invocationId: string;
  request: InvocationRequest;
  metadata: FunctionMetadata;
  state?: 'preInvocationHooks' | 'postInvocationHooks' | 'invocation' | undefined;
  log(level: LogLevel, category: string, message: string): void;
}

/** The conversions of `@azure/functions` between the worker's data and the app's. */
export interface ProgrammingModel {
  getInvocationModel(context: CoreInvocationContext): {
    getArguments(): Promise<{ context: unknown; inputs: unknown[] }>;
    invokeFunction(context: unknown, inputs: unknown[], callback: FunctionCallback): Promise<unknown>;
    getResponse(context: unknown, result: unknown): Promise<InvocationResponse>;
  };
  getCapabilities?(capabilities: Record<string, string>): Promise<Record<string, string>>;
}

export type HookName = 'appStart' | 'appTerminate' | 'preInvocation' | 'postInvocation' | 'log';
// biome-ignore lint/suspicious/noExplicitAny: each hook has its own context type, which @azure/functions wraps.
type HookCallback = (context: any) => unknown;

export interface RegisteredFunction {
  metadata: FunctionMetadata;
  callback: FunctionCallback;
}

/** The trigger of a function: always its first binding. */
export function triggerOf(metadata: FunctionMetadata): [name: string, binding: Binding] {
  return Object.entries(metadata.bindings)[0]!;
}

class Disposable {
  readonly #dispose: () => unknown;

  constructor(dispose: () => unknown) {
    this.#dispose = dispose;
  }

  static from(...disposables: { dispose(): unknown }[]): Disposable {
    return new Disposable(() => {
      for (const disposable of disposables) disposable.dispose();
    });
  }

  dispose(): unknown {
    return this.#dispose();
  }
}

/** The functions and hooks that the app registered while its files were loaded. */
export class AppRegistrations {
  readonly functions = new Map<string, RegisteredFunction>();
  programmingModel: ProgrammingModel | undefined;
  /** The data that the app hooks share. */
  readonly hookData: Record<string, unknown> = {};
  readonly #hooks = new Map<string, HookCallback[]>();
  #loaded = false;

  register(metadata: FunctionMetadata, callback: FunctionCallback): void {
    if (this.#loaded) throw new Error('A function can only be registered during app startup.');
    if (this.functions.has(metadata.name))
      throw new Error(`A function named "${metadata.name}" is already registered.`);
    this.functions.set(metadata.name, { metadata, callback });
  }

  registerHook(name: string, callback: HookCallback): Disposable {
    const callbacks = this.#hooks.get(name) ?? [];
    this.#hooks.set(name, callbacks);
    callbacks.push(callback);
    return new Disposable(() => {
      const index = callbacks.indexOf(callback);
      if (index >= 0) callbacks.splice(index, 1);
    });
  }

  /** Runs the hooks in their order of registration. Rejects with the first error. */
  async runHooks(name: Exclude<HookName, 'log'>, context: object): Promise<void> {
    for (const callback of [...(this.#hooks.get(name) ?? [])]) await callback(context);
  }

  /** Logging is synchronous, so log hooks are not awaited. */
  runLogHooks(context: object): void {
    for (const callback of [...(this.#hooks.get('log') ?? [])]) callback(context);
  }

  /** Rejects later registrations of functions. */
  close(): void {
    this.#loaded = true;
  }
}

let installed: AppRegistrations | undefined;

/**
 * Answers `require('@azure/functions-core')` from now on. It must run before the app's first `app.*` call, because
 * `@azure/functions` requires the module once and keeps it. Therefore a process can have one app only.
 *
 * @throws Error if this process already has a host
 */
export function installCoreApi(
  log: (level: LogLevel, category: string, message: string) => void,
): AppRegistrations {
  if (installed !== undefined)
    throw new Error('This process already has a functions host: one app per process.');
  const registrations = new AppRegistrations();
  installed = registrations;
  const api = {
    version: '3.13.0',
    hostVersion: '4.1042.0',
    Disposable,
    setProgrammingModel: (model: ProgrammingModel) => {
      registrations.programmingModel = model;
    },
    getProgrammingModel: () => registrations.programmingModel,
    registerFunction: (metadata: FunctionMetadata, callback: FunctionCallback) => {
      registrations.register(metadata, callback);
      return new Disposable(() => undefined);
    },
    registerHook: (name: string, callback: HookCallback) => registrations.registerHook(name, callback),
    log,
  };
  const original = Module.prototype.require;
  Module.prototype.require = function (this: NodeJS.Module, id: string) {
    return id === '@azure/functions-core' ? api : original.call(this, id);
  } as NodeJS.Require;
  return registrations;
}

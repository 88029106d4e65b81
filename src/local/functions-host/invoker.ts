import { randomBytes, randomUUID } from 'node:crypto';
import type {
  AppRegistrations,
  CoreInvocationContext,
  InvocationRequest,
  InvocationResponse,
  RegisteredFunction,
} from './core-api.ts';
import type { Log } from './log.ts';
import type { OutputBindings } from './output-bindings.ts';
import { MAX_TIMEOUT } from './timers/time-span.ts';

/** Sent to listeners when an invocation starts and when it ends. */
export interface InvocationEvent {
  functionName: string;
  invocationId: string;
  state: 'started' | 'succeeded' | 'failed';
  /** Milliseconds; absent at the start. */
  duration?: number;
  error?: unknown;
}

export interface Invocation {
  invocationId?: string;
  inputData: InvocationRequest['inputData'];
  triggerMetadata?: InvocationRequest['triggerMetadata'];
  retryContext?: InvocationRequest['retryContext'];
  /** The caller's W3C trace context. Absent: a new one. */
  traceParent?: string;
  /** The reason in the log, for example `New queue message detected on 'orders'.` */
  reason: string;
}

/** Runs functions as the worker does: arguments, preInvocation hooks, handler, postInvocation hooks, response, outputs. */
export class Invoker {
  readonly #app: AppRegistrations;
  readonly #outputs: OutputBindings;
  readonly #log: Log;
  readonly #timeout: number;
  readonly #running = new Map<string, { promise: Promise<unknown>; context?: unknown }>();
  readonly #listeners = new Set<(event: InvocationEvent) => void>();

  /** `timeout` is functionTimeout of host.json, in milliseconds. */
  constructor(app: AppRegistrations, outputs: OutputBindings, log: Log, timeout: number) {
    this.#app = app;
    this.#outputs = outputs;
    this.#log = log;
    this.#timeout = timeout;
  }

  get running(): number {
    return this.#running.size;
  }

  onInvocation(listener: (event: InvocationEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Waits for all running invocations, at most `limit` milliseconds. Returns whether all have ended. */
  async drain(limit: number): Promise<boolean> {
    const deadline = Date.now() + limit;
    while (this.#running.size > 0) {
      const left = deadline - Date.now();
      if (left <= 0) return false;
      const all = Promise.allSettled([...this.#running.values()].map(({ promise }) => promise));
      let timer: NodeJS.Timeout | undefined;
      await Promise.race([all, new Promise((resolve) => (timer = setTimeout(resolve, left)))]);
      clearTimeout(timer);
    }
    return true;
  }

  /**
   * Runs the function once, and writes its output bindings before it resolves.
   *
   * @throws the handler's error, or an error after functionTimeout. JavaScript cannot abort the handler: it continues
   * in the background, but its result is ignored. On Azure the worker restarts.
   */
  invoke(fn: RegisteredFunction, invocation: Invocation): Promise<InvocationResponse> {
    const invocationId = invocation.invocationId ?? randomUUID();
    const promise = this.#invoke(fn, invocation, invocationId).finally(() =>
      this.#running.delete(invocationId),
    );
    this.#running.set(invocationId, { promise });
    return promise;
  }

  async #invoke(
    fn: RegisteredFunction,
    invocation: Invocation,
    invocationId: string,
  ): Promise<InvocationResponse> {
    const functionName = fn.metadata.name;
    const category = `Function.${functionName}`;
    const started = performance.now();
    this.#log({
      level: 'information',
      category,
      message: `Executing 'Functions.${functionName}' (Reason='${invocation.reason}', Id=${invocationId})`,
      invocationId,
    });
    this.#emit({ functionName, invocationId, state: 'started' });
    const duration = () => Math.round(performance.now() - started);
    try {
      const response = await this.#withTimeout(functionName, (ended) =>
        this.#run(fn, invocation, invocationId, ended),
      );
      this.#log({
        level: 'information',
        category,
        message: `Executed 'Functions.${functionName}' (Succeeded, Id=${invocationId}, Duration=${duration()}ms)`,
        invocationId,
      });
      this.#emit({ functionName, invocationId, state: 'succeeded', duration: duration() });
      return response;
    } catch (error) {
      this.#log({
        level: 'error',
        category,
        message:
          `Executed 'Functions.${functionName}' (Failed, Id=${invocationId}, Duration=${duration()}ms): ` +
          (error instanceof Error ? (error.stack ?? error.message) : String(error)),
        invocationId,
      });
      this.#emit({ functionName, invocationId, state: 'failed', duration: duration(), error });
      throw error;
    }
  }

  async #run(
    fn: RegisteredFunction,
    invocation: Invocation,
    invocationId: string,
    ended: () => boolean,
  ): Promise<InvocationResponse> {
    const running = this.#running.get(invocationId);
    const core: CoreInvocationContext = {
      invocationId,
      metadata: fn.metadata,
      request: {
        inputData: invocation.inputData,
        traceContext: { traceParent: invocation.traceParent ?? newTraceParent() },
        triggerMetadata: invocation.triggerMetadata,
        retryContext: invocation.retryContext,
      },
      log: (level, logCategory, message) => {
        const hook = {
          level,
          category: logCategory,
          message,
          hookData: {},
          invocationContext: running?.context,
        };
        this.#app.runLogHooks(hook);
        const category = `Function.${fn.metadata.name}${logCategory === 'user' ? '.User' : ''}`;
        this.#log({ level: hook.level, category, message: hook.message, invocationId });
      },
    };
    const model = this.#app.programmingModel!.getInvocationModel(core);
    const { context, inputs } = await model.getArguments();
    if (running !== undefined) running.context = context;

    const hookData = {};
    const pre = { hookData, invocationContext: context, inputs, functionCallback: fn.callback };
    core.state = 'preInvocationHooks';
    await this.#app.runHooks('preInvocation', pre);
    const post = {
      hookData,
      invocationContext: context,
      inputs: pre.inputs,
      result: null as unknown,
      error: null as unknown,
    };
    core.state = 'invocation';
    try {
      post.result = await model.invokeFunction(context, pre.inputs, pre.functionCallback);
    } catch (error) {
      post.error = error ?? new Error(`The function threw ${error}`);
    }
    core.state = 'postInvocationHooks';
    await this.#app.runHooks('postInvocation', post);
    core.state = undefined;
    if (post.error !== null && post.error !== undefined) throw post.error;

    const response = await model.getResponse(context, post.result);
    if (!ended()) await this.#outputs.write(fn.metadata, response);
    return response;
  }

  async #withTimeout<T>(functionName: string, run: (ended: () => boolean) => Promise<T>): Promise<T> {
    let ended = false;
    const work = run(() => ended);
    if (this.#timeout > MAX_TIMEOUT) return work;
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        ended = true;
        reject(
          new Error(
            `Timeout value of ${this.#timeout / 1000} s was exceeded by function: Functions.${functionName}`,
          ),
        );
      }, this.#timeout);
    });
    return Promise.race([work, limit]).finally(() => clearTimeout(timer));
  }

  #emit(event: InvocationEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

function newTraceParent(): string {
  return `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`;
}

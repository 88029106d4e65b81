import { anySignal } from '../../dataverse/any-signal.ts';
import type { CallOptions } from '../../dataverse/transport/call.ts';
import { UsageError } from './errors.ts';

/** When the client retries. A write that Dataverse may have executed is retried only if repeating it is harmless. */
export interface RetryOptions {
  /** Attempts in total, including the first. @default 10 */
  maxTries?: number | undefined;
  /** Seconds since the first attempt after which no new one starts. @default 240 */
  maxTotalSeconds?: number | undefined;
  /** Seconds since the first attempt up to which a `Retry-After` is waited for. @default 60 */
  maxPauseSeconds?: number | undefined;
  /** Seconds before the first retry if Dataverse named none; doubled for each further one. @default 1 */
  baseDelaySeconds?: number | undefined;
  /** Upper bound of a wait that the client chooses, in seconds. @default 60 */
  maxDelaySeconds?: number | undefined;
}

/** What every call accepts. `dataverse.with(options)` sets it for all calls. */
export interface RequestOptions {
  /**
   * How numbers with fractions are read, and integers of more than 15 digits: as numbers of JavaScript (`real`), or as texts with
   * every digit that Dataverse sent (`text`). If the definition of a table names its `decimals`, only these are texts, but for
   * rows of other tables and aggregates.
   * @default 'text' for the `decimals` of a table definition, else 'real'
   */
  decimals?: 'real' | 'text' | undefined;
  /**
   * Aborts the call, with its retries and waits. The call rejects with the reason of the signal. A signal of `with` applies
   * beside that of the call.
   */
  signal?: AbortSignal | undefined;
  /** Seconds for one attempt, including the body. @default 120; more for bulk messages, batches and the first request */
  timeoutSeconds?: number | undefined;
  retry?: RetryOptions | undefined;
  /** Impersonates a user by the object id in Microsoft Entra ID (`CallerObjectId`). */
  callerObjectId?: string | undefined;
  /** Impersonates a user by `systemuserid` (`MSCRMCallerID`). */
  callerId?: string | undefined;
  /** Skips custom business logic (`MSCRM.BypassBusinessLogicExecution`). Needs a privilege. */
  bypassBusinessLogic?: readonly ('CustomSync' | 'CustomAsync')[] | undefined;
  /** Skips these registered steps (`MSCRM.BypassBusinessLogicExecutionStepIds`). */
  bypassStepIds?: readonly string[] | undefined;
  /** Skips custom plug-ins and real-time workflows (`MSCRM.BypassCustomPluginExecution`). Older than the option above. */
  bypassCustomPlugins?: boolean | undefined;
  /** Starts no flows of Power Automate (`MSCRM.SuppressCallbackRegistrationExpanderJob`). */
  suppressFlows?: boolean | undefined;
  /** Rejects a create or update that a duplicate detection rule finds. Dataverse does not check by default. */
  detectDuplicates?: boolean | undefined;
  /** Adds new components to this unmanaged solution (`MSCRM.SolutionUniqueName`). */
  solution?: string | undefined;
  /** `x-ms-correlation-id`, to match the logs of several services. @default a new one for each call */
  correlationId?: string | undefined;
  /**
   * Further headers. Those that a request needs win; `Prefer` is merged, so that
   * `{ Prefer: 'odata.include-annotations="*"' }` asks for all annotations.
   */
  headers?: Readonly<Record<string, string>> | undefined;
}

/** @internal Both options; those of the call win, headers one by one. Either signal aborts it. */
export function mergeOptions(defaults: RequestOptions, own: RequestOptions = {}): RequestOptions {
  const given = Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined));
  const retry = { ...defaults.retry, ...own.retry };
  const headers = { ...defaults.headers, ...own.headers };
  return { ...defaults, ...given, retry, headers, signal: anySignal([defaults.signal, own.signal]) };
}

/** @internal The headers of the options. learn.microsoft.com: "Use optional parameters", "Impersonate another user". */
export function headersOf(options: RequestOptions): Record<string, string> {
  const yes = (flag: boolean | undefined) => (flag ? 'true' : undefined);
  const headers = {
    CallerObjectId: options.callerObjectId,
    MSCRMCallerID: options.callerId,
    'MSCRM.BypassBusinessLogicExecution': options.bypassBusinessLogic?.join(','),
    'MSCRM.BypassBusinessLogicExecutionStepIds': options.bypassStepIds?.join(','),
    'MSCRM.BypassCustomPluginExecution': yes(options.bypassCustomPlugins),
    'MSCRM.SuppressCallbackRegistrationExpanderJob': yes(options.suppressFlows),
    'MSCRM.SuppressDuplicateDetection': options.detectDuplicates ? 'false' : undefined,
    'MSCRM.SolutionUniqueName': options.solution,
    ...options.headers,
  };
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, checked(name, value)]],
    ),
  );
}

/** @internal The value of a header that may be missing. @throws UsageError for one that no header can have */
export function checkedHeader(name: string, value: string | undefined): string | undefined {
  return value === undefined ? undefined : checked(name, value);
}

/** @throws UsageError for a value that no header can have. The message does not quote it: it may be a secret */
function checked(name: string, value: string): string {
  if (/^[\w.-]+$/.test(name) && /^[\x20-\x7e]*$/.test(value)) return value;
  throw new UsageError(`The header ${JSON.stringify(name.slice(0, 60))} cannot be sent`, {
    hint: 'Names consist of letters, digits and hyphens; values of printable ASCII characters on one line.',
  });
}

/** @internal The options as the layer below takes them. */
export function toCallOptions(options: RequestOptions): CallOptions {
  const { timeoutSeconds = 1, correlationId } = options;
  if (!(timeoutSeconds > 0)) throw new UsageError('timeoutSeconds must be more than 0');
  return {
    signal: options.signal,
    correlationId: checkedHeader('x-ms-correlation-id', correlationId),
    attemptSeconds: options.timeoutSeconds,
    retry: definedOf(options.retry) as CallOptions['retry'],
    requestHeaders: headersOf(options),
  };
}

/** Without members that are undefined, which would hide a default. */
function definedOf(value: object = {}): object {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined));
}

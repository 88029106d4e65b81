import { type Instrumenter, useInstrumenter } from '@azure/core-tracing';
import { AzureLogger, getLogLevel, setLogLevel } from '@azure/logger';

let ours: Instrumenter | undefined;

/** Lets the Azure SDK tell `instrumenter` of its requests, in place of any other one. */
export function instrumentSdk(instrumenter: Instrumenter): void {
  ours = instrumenter;
  useInstrumenter(instrumenter);
}

/** Runs `work`, which sets up another library, and puts back the instrumenter and the log of the Azure SDK after it. */
export function keepingSdkHooks<Result>(work: () => Result): Result {
  const { log } = AzureLogger;
  const level = getLogLevel();
  try {
    return work();
  } finally {
    AzureLogger.log = log;
    setLogLevel(level);
    if (ours !== undefined) useInstrumenter(ours);
  }
}

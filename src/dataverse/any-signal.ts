/** A signal that is aborted with the first of these. */
export function anySignal(given: readonly (AbortSignal | undefined)[]): AbortSignal | undefined {
  const signals = [...new Set(given.filter((signal) => signal !== undefined))];
  if (signals.length <= 1) return signals[0];
  // Node.js 20.0 to 20.2 lack it.
  return typeof AbortSignal.any === 'function' ? AbortSignal.any(signals) : anyOf(signals);
}

/** The same without `AbortSignal.any`. The listeners stay until one of the signals is aborted. */
export function anyOf(signals: readonly AbortSignal[]): AbortSignal {
  const controller = new AbortController();
  for (const signal of signals) {
    if (signal.aborted) controller.abort(signal.reason);
    const onAbort = () => controller.abort(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true, signal: controller.signal });
  }
  return controller.signal;
}

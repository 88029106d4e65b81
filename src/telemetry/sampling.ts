/** Which traces are kept: a share of them, by id, so that all processes decide the same. */

/**
 * The share of traces to keep, from 0 to 1. The names and values are those of OpenTelemetry (opentelemetry.io: SDK
 * environment variables): an argument that is empty counts as one that is not set. All other samplers keep every trace.
 */
export function sampledShare(env: Record<string, string | undefined> = process.env): number {
  const sampler = env['OTEL_TRACES_SAMPLER']?.trim() ?? '';
  if (!/^(?:parentbased_)?traceidratio$/.test(sampler)) return 1;
  const argument = env['OTEL_TRACES_SAMPLER_ARG']?.trim() ?? '';
  const share = argument === '' ? 1 : Number(argument);
  return share >= 0 && share <= 1 ? share : 1;
}

let share: number | undefined;

/** Whether a trace is kept. The last 56 bits of its id are random (w3.org/TR/trace-context-2). */
export function isSampled(traceId: string): boolean {
  share ??= sampledShare();
  return share === 1 || Number.parseInt(traceId.slice(-14), 16) / 2 ** 56 < share;
}

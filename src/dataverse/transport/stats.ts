/** Running totals of requests to Dataverse. Plain numbers, so that a caller may keep one object per run or per table. */
export interface RequestStats {
  /** Requests sent, each try counted; sending again with a new token after a 401 belongs to the same try. */
  requests: number;
  /** Tries after the first. */
  retries: number;
  /** Answers with status 429. */
  throttled: number;
  /** Bytes of response bodies after decompression. */
  bytesReceived: number;
  /** Bytes of response bodies as they came over the wire. */
  wireBytes: number;
  /** Seconds spent waiting before a try: back-off, Retry-After, a free place in the limiter. */
  waitedSeconds: number;
}

export function createRequestStats(): RequestStats {
  return { requests: 0, retries: 0, throttled: 0, bytesReceived: 0, wireBytes: 0, waitedSeconds: 0 };
}

export function addRequestStats(stats: RequestStats, more: Partial<RequestStats>): void {
  for (const [name, value] of Object.entries(more)) stats[name as keyof RequestStats] += value;
}

/** Counters of requests to Dataverse. Plain numbers, so that a caller can keep one object per run or per table. */
export interface RequestStats {
  /** Attempts sent. A request repeated with a new token after a 401 counts once. */
  requests: number;
  /** Attempts after the first. */
  retries: number;
  /** Responses with status 429. */
  throttled: number;
  /** Bytes of response bodies after decompression. */
  bytesReceived: number;
  /** Bytes of response bodies as transferred. */
  wireBytes: number;
  /** Seconds spent waiting before attempts: back-off, Retry-After, the limiter's queue. */
  waitedSeconds: number;
}

export function createRequestStats(): RequestStats {
  return { requests: 0, retries: 0, throttled: 0, bytesReceived: 0, wireBytes: 0, waitedSeconds: 0 };
}

export function addRequestStats(stats: RequestStats, more: Partial<RequestStats>): void {
  for (const [name, value] of Object.entries(more)) stats[name as keyof RequestStats] += value;
}

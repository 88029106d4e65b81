import { createHash } from 'node:crypto';
import type { CampaignMetrics } from './campaign-metrics-fields.ts';
import { keyMeaning } from './key-meaning.ts';

/** The namespace of the ids. With another one, every repeated record would become a second row. */
const namespace = Buffer.from('6a3f5b0e4c1d5e7f9a2b8c4d6e0f1a2b', 'hex');

/**
 * The id of a record's row: a UUID of version 5 (RFC 9562), in lower case, from what campaign, run and phase mean. They
 * are joined as a JSON array, so that different keys never give the same text.
 */
export function campaignMetricsId(key: Pick<CampaignMetrics, 'campaignId' | 'runId' | 'phase'>): string {
  const name = JSON.stringify([key.campaignId, key.runId, key.phase].map(keyMeaning));
  const hash = createHash('sha1').update(namespace).update(name, 'utf8').digest();
  hash[6] = (hash[6]! & 0x0f) | 0x50;
  hash[8] = (hash[8]! & 0x3f) | 0x80;
  return hash.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

import { createHash } from 'node:crypto';

/** The namespace of these ids. Changing it would make every repeated record a second row. */
const namespace = Buffer.from('6a3f5b0e4c1d5e7f9a2b8c4d6e0f1a2b', 'hex');

/** What names a record. */
export interface CampaignMetricsKey {
  campaignId: string;
  runId: string;
  phase: string;
}

/**
 * The row id of a record: a UUID of version 5 (RFC 9562) of campaign, run and phase, in lower case.
 * The parts are joined as a JSON array, so that no two different triples can look alike.
 */
export function campaignMetricsId({ campaignId, runId, phase }: CampaignMetricsKey): string {
  const name = JSON.stringify([campaignId, runId, phase]);
  const hash = createHash('sha1').update(namespace).update(name, 'utf8').digest().subarray(0, 16);
  hash[6] = (hash[6]! & 0x0f) | 0x50;
  hash[8] = (hash[8]! & 0x3f) | 0x80;
  const hex = hash.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

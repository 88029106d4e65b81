import type { Store } from './index.ts';

/** How often something changes, in milliseconds. */
const interval = 4000;

const campaigns = ['product-launch', 'newsletter', 'trade-fair-follow-up', 'webinar-series'];
const phases = ['1', '2-3', '4', '5'];
const cities = ['Aarhus', 'Bergen', 'Ghent', 'Kraków', 'Leiden', 'Porto'];

/**
 * Keeps the rows of a sample Dataverse changing, so that a dashboard has something to show: contacts come and move, leads
 * end, accounts grow, and a campaign reports.
 * @returns ends it
 */
export function keepChanging(store: Store, random: () => number = Math.random): () => void {
  const timer = setInterval(() => change(store, random), interval);
  timer.unref();
  return () => clearInterval(timer);
}

/** One round of changes. A table that the sample lacks is left out. */
export function change(store: Store, random: () => number): void {
  const below = (n: number): number => Math.floor(random() * n);
  const pick = <T>(list: readonly T[]): T | undefined => list[below(list.length)];
  const has = (table: string): boolean => store.model.tables.has(table);
  const ids = (table: string): string[] => (has(table) ? [...store.truth(table).keys()] : []);

  for (const id of [pick(ids('contact')), pick(ids('contact'))])
    if (id !== undefined) store.update('contact', id, { address1_city: pick(cities)! });
  const account = pick(ids('account'));
  if (account !== undefined) store.update('account', account, { numberofemployees: 10 + below(900) });
  if (has('contact') && random() < 0.7) {
    store.create('contact', {
      firstname: 'Robin',
      lastname: `Newman ${1000 + below(9000)}`,
      address1_city: pick(cities)!,
    });
  }
  const lead = random() < 0.2 ? pick(ids('lead')) : undefined;
  if (lead !== undefined) store.delete('lead', lead);
  if (has('apex_campaignmetrics') && random() < 0.5) {
    const total = 4 + below(24);
    const successful = total - below(3);
    const tokensIn = total * (20_000 + below(40_000));
    const tokensOut = Math.round(tokensIn * (0.05 + 0.3 * random()));
    const latency = 2000 + below(2500);
    store.create('apex_campaignmetrics', {
      apex_campaignid: pick(campaigns)!,
      apex_runid: `live-${Date.now()}`,
      apex_phase: pick(phases)!,
      apex_agentstotal: total,
      apex_agentssuccessful: successful,
      apex_assetsgenerated: below(40),
      apex_tokensin: tokensIn,
      apex_tokensout: tokensOut,
      apex_latencyavgms: latency,
      apex_latencyp95ms: Math.round(latency * 2.1),
      apex_costusd: Math.round((tokensIn * 3 + tokensOut * 15) / 10) / 1e5,
      apex_successrate: Math.round((10_000 * successful) / total) / 100,
      apex_createdat: new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
    });
  }
}

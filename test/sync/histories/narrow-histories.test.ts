import { histories } from '../random-histories.ts';

histories('with narrow runs', { seed: 1, runs: 4, drift: false, narrow: true });
histories('with narrow runs and tables in three databases of which parts are in memory', {
  ...{ seed: 12, runs: 2, drift: false, narrow: true },
  ...{ databases: [undefined, 'sales', 'service'], cacheMegabytes: 0.75 },
});

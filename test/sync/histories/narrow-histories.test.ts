import { histories } from '../random-histories.ts';

histories('with narrow runs', { seed: 1, runs: 2, drift: false, narrow: true, inLong: 300 });
histories('with narrow runs and tables in three databases of which parts are in memory', {
  ...{ seed: 12, runs: 1, drift: false, narrow: true, inLong: 150 },
  ...{ databases: [undefined, 'sales', 'service'], cacheMegabytes: 0.75 },
});

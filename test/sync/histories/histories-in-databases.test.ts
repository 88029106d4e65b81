import { histories } from '../random-histories.ts';

const databases = [undefined, 'sales', 'service'];

histories('with tables in three databases', { seed: 3, runs: 4, drift: true, databases });
// All of them are in memory in parts only.
histories('with tables in three databases of which parts are in memory', {
  ...{ seed: 7, runs: 2, drift: true, databases },
  cacheMegabytes: 0.75,
});

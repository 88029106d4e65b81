import { histories } from '../random-histories.ts';

histories('with narrow runs', { seed: 1, runs: 4, drift: false, narrow: true });

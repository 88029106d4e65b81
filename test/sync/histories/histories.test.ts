import { histories } from '../random-histories.ts';

histories('without a change of the schema', { seed: 20261121, runs: 20, drift: false });

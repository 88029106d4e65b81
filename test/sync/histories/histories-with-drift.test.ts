import { histories } from '../random-histories.ts';

histories('with changes of the schema', { seed: 20261121, runs: 20, drift: true });

import { histories } from '../random-histories.ts';

histories('in PostgreSQL', { seed: 5579, runs: 2, inLong: 100, drift: false, inPostgres: true });
histories('in PostgreSQL, whose schema changes', {
  seed: 915,
  runs: 3,
  inLong: 100,
  drift: true,
  inPostgres: true,
});

import { histories } from '../random-histories.ts';

const options = { withExport: true, inLong: 100 };

histories('that are exported to a lake', { ...options, seed: 5579, runs: 3, drift: false });
histories('that are exported to a lake, whose schema changes', {
  ...options,
  seed: 915,
  runs: 3,
  drift: true,
});
histories('in several databases that are exported to a lake', {
  ...options,
  seed: 42,
  runs: 2,
  drift: true,
  databases: [undefined, 'sales', 'other'],
});
histories('in PostgreSQL that are exported to a lake', {
  ...options,
  seed: 7,
  runs: 2,
  drift: true,
  inPostgres: true,
});

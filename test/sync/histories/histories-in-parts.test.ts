import { histories } from '../random-histories.ts';

// Four chunks: they leave memory and come back all the time.
const cacheMegabytes = 0.25;

histories('with a database of which parts are in memory', {
  seed: 20261126,
  runs: 6,
  drift: true,
  cacheMegabytes,
});
histories('with a database of which parts are in memory, on the storage emulator', {
  seed: 11,
  runs: 2,
  drift: true,
  cacheMegabytes,
  onStorageEmulator: true,
});

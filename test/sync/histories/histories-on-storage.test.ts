import { histories } from '../random-histories.ts';

histories('on the storage emulator', { seed: 7, runs: 2, drift: true, onStorageEmulator: true });

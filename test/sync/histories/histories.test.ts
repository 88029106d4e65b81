import { histories, withoutDrift } from '../random-histories.ts';

histories('without a change of the schema', withoutDrift);

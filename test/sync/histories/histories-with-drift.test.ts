import { histories, withDrift } from '../random-histories.ts';

histories('with changes of the schema', withDrift);

import { events, metrics } from '../../src/telemetry/names.ts';

/** What events of a named environment have besides their own properties. */
const common = 'environment';

/** The names that a query compares with, and the fields that it reads of each. */
export function usesOf(query: string): { names: string[]; dimensions: string[]; measurements: string[] } {
  const names = [...query.matchAll(/\bname (?:==|in) \(?("[^)\n]*?")(?=\)|\s|$)/g)]
    .flatMap(([, list]) => list!.split(','))
    .map((name) => name.trim().replaceAll('"', ''));
  const fields = (of: string) =>
    [...query.matchAll(new RegExp(`\\b${of}\\.(\\w+)`, 'g'))].map(([, name]) => name!);
  return { names, dimensions: fields('customDimensions'), measurements: fields('customMeasurements') };
}

/** What a query asks for that the app does not send. */
export function absentFrom(query: string): string[] {
  const { names, dimensions, measurements } = usesOf(query);
  return names.flatMap((name) => {
    const event = events[name as keyof typeof events];
    const metric = metrics[name as keyof typeof metrics];
    const table = event === undefined ? 'customMetrics' : 'customEvents';
    if (event === undefined && metric === undefined) return [name];
    const properties: readonly string[] = event?.properties ?? metric.dimensions;
    const figures: readonly string[] = event?.figures ?? [];
    return [
      ...(query.includes(table) ? [] : [`${name} is not in ${table}`]),
      // A query over several names may read what only some of them have.
      ...(names.length > 1
        ? []
        : dimensions.filter((field) => field !== common && !properties.includes(field))),
      ...(names.length > 1 ? [] : measurements.filter((field) => !figures.includes(field))),
    ];
  });
}

/** Fields whose type a query does not state: both columns are `dynamic`, and comparing those finds nothing. */
export function untypedIn(query: string): string[] {
  const fields = /(\w+\()?\b(customDimensions|customMeasurements)\.(\w+)/g;
  return [...query.matchAll(fields)]
    .filter(([, type, column]) => type !== (column === 'customDimensions' ? 'tostring(' : 'todouble('))
    .map(([, , , field]) => field!);
}

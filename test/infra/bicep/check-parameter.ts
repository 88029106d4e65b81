import type { Declaration, Decorator } from './syntax.ts';
import { isRuntimeText, Known, typeOf, type Value } from './values.ts';

/** What is wrong with a value for a parameter: its type, and what its decorators allow. */
export function checkParameter(parameter: Declaration & { kind: 'param' }, value: Value): string[] {
  const { name, type, decorators } = parameter;
  if (value === null || value === undefined) return type.endsWith('?') ? [] : [`${name} must not be null`];
  const expected = type.endsWith(']') ? 'array' : type.replace('?', '');
  const found = typeOf(value);
  if (found !== expected && found !== 'any') return [`${name} must be ${expected}, not ${found}`];
  if (isRuntimeText(value) || value instanceof Known) return [];
  const size = typeof value === 'number' ? value : (value as string | Value[]).length;
  return decorators.flatMap((decorator) => {
    const limit = argument(decorator);
    const faults: Record<string, boolean> = {
      allowed: Array.isArray(limit) && !limit.includes(value as string),
      minLength: size < Number(limit),
      minValue: size < Number(limit),
      maxLength: size > Number(limit),
      maxValue: size > Number(limit),
    };
    return faults[decorator.name] ? [`${name} breaks @${decorator.name}: ${JSON.stringify(value)}`] : [];
  });
}

/** The value of a decorator whose argument is a literal, or an array of literals. */
export function argument({
  args: [first],
}: Decorator): string | number | boolean | null | unknown[] | undefined {
  if (first?.kind === 'literal') return first.value;
  if (first?.kind !== 'array') return undefined;
  return first.items.map((one) => (one.kind === 'literal' ? one.value : undefined));
}

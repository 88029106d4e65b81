/**
 * What an expression gives without Azure: JSON values, references to resources and modules, and values that only a
 * deployment knows. A text that only a deployment knows is a string with a part in « ».
 */
export type Value =
  | string
  | number
  | boolean
  | null
  | undefined
  | Value[]
  | { [name: string]: Value }
  | Known
  | Reference
  | LambdaValue;

/** A value other than text that only a deployment knows. */
export class Known {
  readonly type: 'int' | 'bool' | 'object' | 'array' | 'any';
  readonly from: string;

  constructor(type: Known['type'], from: string) {
    this.type = type;
    this.from = from;
  }
}

/** A resource, a module, or a part of one. `member` gives its properties. */
export abstract class Reference {
  /** What it stands for, if it can be a value: a property that only a deployment knows. */
  abstract readonly text: string | undefined;
  abstract member(name: string): Value;
}

export class LambdaValue {
  readonly call: (args: Value[]) => Value;

  constructor(call: (args: Value[]) => Value) {
    this.call = call;
  }
}

/** A text that the deployment gives, such as a client id. */
export const runtimeText = (from: string): string => `«${from}»`;

export const isRuntimeText = (value: unknown): boolean => typeof value === 'string' && value.includes('«');

/** The same value with properties of resources as texts. */
export function settle(value: Value): Value {
  if (value instanceof Reference) return value.text === undefined ? value : runtimeText(value.text);
  if (Array.isArray(value)) return value.map(settle);
  if (isObject(value))
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, settle(one)]));
  return value;
}

export function isObject(value: Value): value is { [name: string]: Value } {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Known) &&
    !(value instanceof Reference) &&
    !(value instanceof LambdaValue)
  );
}

/** The Bicep type of a value, for messages and parameters. */
export function typeOf(value: Value): string {
  if (value === null || value === undefined) return 'null';
  if (value instanceof Known) return value.type;
  if (typeof value === 'string') return 'string';
  if (typeof value === 'number') return 'int';
  if (typeof value === 'boolean') return 'bool';
  return Array.isArray(value) ? 'array' : isObject(value) ? 'object' : 'resource';
}

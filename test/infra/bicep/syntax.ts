import type { Place } from './tokens.ts';

export type Expression = { place: Place } & (
  | { kind: 'literal'; value: string | number | boolean | null }
  | { kind: 'text'; texts: string[]; expressions: Expression[] }
  | { kind: 'name'; name: string }
  | { kind: 'object'; entries: Entry[] }
  | { kind: 'array'; items: Expression[] }
  /** `[for item in list: body]` or `[for (item, index) in list: body]` */
  | { kind: 'for'; item: string; index?: string; list: Expression; body: Expression }
  | { kind: 'member'; of: Expression; name: string; isSafe: boolean }
  | { kind: 'index'; of: Expression; at: Expression; isSafe: boolean }
  | { kind: 'call'; name: string; args: Expression[]; of?: Expression }
  | { kind: 'lambda'; params: string[]; body: Expression }
  | { kind: 'unary'; operator: '!' | '-'; of: Expression }
  | { kind: 'binary'; operator: string; left: Expression; right: Expression }
  | { kind: 'choice'; condition: Expression; then: Expression; otherwise: Expression }
  /** `x!`: the author says that x is not null. */
  | { kind: 'certain'; of: Expression }
  /** `if (condition) {…}` as the value of a resource, a module or an item of `for`. */
  | { kind: 'if'; condition: Expression; body: Expression }
);

/** An entry of an object; a key with an expression is interpolated. */
export interface Entry {
  key: Expression & { kind: 'literal' | 'text' };
  value: Expression;
  place: Place;
}

export interface Decorator {
  name: string;
  args: Expression[];
  place: Place;
}

interface Common {
  name: string;
  decorators: Decorator[];
  place: Place;
}

export type Declaration = Common &
  (
    | { kind: 'param'; type: string; value?: Expression }
    | { kind: 'var'; value: Expression }
    | { kind: 'output'; type: string; value: Expression }
    /** `reference` is `Microsoft.X/y@2025-01-01`. */
    | { kind: 'resource'; reference: string; isExisting: boolean; value: Expression }
    | { kind: 'module'; path: string; value: Expression }
  );

export interface BicepFile {
  /** `resourceGroup` if the file does not say. */
  targetScope: string;
  declarations: Declaration[];
}

/** The expressions directly inside another one. */
export function partsOf(expression: Expression): Expression[] {
  switch (expression.kind) {
    case 'literal':
    case 'name':
      return [];
    case 'text':
      return expression.expressions;
    case 'object':
      return expression.entries.flatMap(({ key, value }) => [key, value]);
    case 'array':
      return expression.items;
    case 'for':
      return [expression.list, expression.body];
    case 'member':
    case 'unary':
    case 'certain':
      return [expression.of];
    case 'index':
      return [expression.of, expression.at];
    case 'call':
      return expression.of === undefined ? expression.args : [expression.of, ...expression.args];
    case 'lambda':
      return [expression.body];
    case 'binary':
      return [expression.left, expression.right];
    case 'choice':
      return [expression.condition, expression.then, expression.otherwise];
    case 'if':
      return [expression.condition, expression.body];
  }
}

/** The object that declares a resource or module, without `for` and `if` around it. */
export function bodyOf(value: Expression): Expression & { kind: 'object' } {
  if (value.kind === 'for' || value.kind === 'if') return bodyOf(value.body);
  if (value.kind === 'object') return value;
  throw new TypeError(`A resource is declared as ${value.kind}.`);
}

/** The value of an entry whose key is plain text. */
export function entryOf(object: Expression & { kind: 'object' }, name: string): Expression | undefined {
  return object.entries.find(({ key }) => key.kind === 'literal' && key.value === name)?.value;
}

import { badRequest } from '../http/service-error.ts';
import type { Value } from '../rows/values.ts';
import { type Comparable, comparable, comparableLiteral } from './comparable.ts';
import type { Comparison, Filter, Operand } from './options/parse-filter.ts';

/** A property of a filter: its type, and how to read it from an item. */
export interface Field<T> {
  type: string;
  get(item: T): Value | undefined;
}

/** SQL's three truth values. Null is unknown, which excludes the item. */
type Truth = boolean | null;
type Test<T> = (item: T) => Truth;

/**
 * Turns a parsed `$filter` into a test.
 * @param field finds a property, or throws the service's error for an unknown one
 */
export function compileFilter<T>(
  filter: Filter,
  field: (path: string) => Field<T>,
  lambda?: CompileLambda<T>,
): (item: T) => boolean {
  const test = compile(filter, field, lambda);
  return (item) => test(item) === true;
}

/** Makes the test of `any` or `all` over related items. */
export type CompileLambda<T> = (filter: Filter & { kind: 'lambda' }) => (item: T) => boolean;

function compile<T>(filter: Filter, field: (path: string) => Field<T>, lambda?: CompileLambda<T>): Test<T> {
  switch (filter.kind) {
    case 'lambda':
      if (lambda === undefined) throw badRequest('Lambda expressions are not supported here.');
      return lambda(filter);
    case 'and': {
      const left = compile(filter.left, field, lambda);
      const right = compile(filter.right, field, lambda);
      return (item) => and(left(item), right(item));
    }
    case 'or': {
      const left = compile(filter.left, field, lambda);
      const right = compile(filter.right, field, lambda);
      return (item) => not(and(not(left(item)), not(right(item))));
    }
    case 'not': {
      const operand = compile(filter.operand, field, lambda);
      return (item) => not(operand(item));
    }
    case 'compare':
      return compileComparison(filter.operator, filter.left, filter.right, field);
    case 'call':
      return compileCall(filter, field);
  }
}

function and(a: Truth, b: Truth): Truth {
  if (a === false || b === false) return false;
  return a === null || b === null ? null : true;
}

function not(a: Truth): Truth {
  return a === null ? null : !a;
}

function compileComparison<T>(
  operator: Comparison,
  left: Operand,
  right: Operand,
  field: (path: string) => Field<T>,
): Test<T> {
  const type = operandType(left, field) ?? operandType(right, field) ?? 'Edm.String';
  if (isNull(left) || isNull(right)) {
    const operand = reader(isNull(left) ? right : left, type, field);
    if (operator === 'eq') return (item) => operand(item) === null;
    if (operator === 'ne') return (item) => operand(item) !== null;
    return () => null;
  }
  const a = reader(left, type, field);
  const b = reader(right, type, field);
  return (item) => {
    const x = a(item);
    const y = b(item);
    return x === null || y === null ? null : holds(operator, x, y);
  };
}

function holds(operator: Comparison, x: string | number | bigint, y: string | number | bigint): boolean {
  switch (operator) {
    case 'eq':
      return x === y;
    case 'ne':
      return x !== y;
    case 'gt':
      return x > y;
    case 'ge':
      return x >= y;
    case 'lt':
      return x < y;
    case 'le':
      return x <= y;
  }
}

function isNull(operand: Operand): boolean {
  return operand.kind === 'literal' && operand.type === 'null';
}

function operandType<T>(operand: Operand, field: (path: string) => Field<T>): string | undefined {
  return operand.kind === 'property' ? field(operand.path).type : undefined;
}

function reader<T>(
  operand: Operand,
  type: string,
  field: (path: string) => Field<T>,
): (item: T) => Comparable {
  if (operand.kind === 'property') {
    const found = field(operand.path);
    return (item) => comparable(found.type, found.get(item));
  }
  if (operand.kind === 'list') throw badRequest('A list was not expected here.');
  const literal = literalOf(type, operand.text, operand.type);
  return () => literal;
}

function literalOf(type: string, text: string, literalType: string): Comparable {
  if (literalType === 'string' && type !== 'Edm.String' && type !== 'Edm.Guid') {
    throw incompatible('Edm.String', type);
  }
  const value = comparableLiteral(type, text);
  if (value === undefined || (type === 'Edm.String' && literalType === 'number')) {
    throw incompatible(literalType === 'number' ? 'Edm.Int32' : 'Edm.String', type);
  }
  return value;
}

function incompatible(one: string, other: string): Error {
  return badRequest(
    `A binary operator with incompatible types was detected. Found operand types '${one}' and '${other}' for operator kind 'Equal'.`,
  );
}

function compileCall<T>(call: Filter & { kind: 'call' }, field: (path: string) => Field<T>): Test<T> {
  const standard = { contains, startswith: startsWith, endswith: endsWith }[call.name];
  if (standard !== undefined) return compileTextCall(call, standard, field);
  const name = call.name.replace(/^Microsoft\.Dynamics\.CRM\./, '');
  if (name === call.name) throw unknownFunction(call.name);
  const property = call.named.get('PropertyName');
  if (property?.kind !== 'literal') throw unknownFunction(call.name);
  const found = field(property.text);
  const list = call.named.get('PropertyValues') ?? call.named.get('PropertyValue');
  const texts = list?.kind === 'list' ? list.items : list?.kind === 'literal' ? [list.text] : [];
  const values = texts.map((text) => {
    const value = comparableLiteral(found.type, text);
    if (value === undefined) throw badRequest(`Invalid value '${text}' for property '${property.text}'.`);
    return value;
  });
  const test = queryFunction(name, values);
  if (test === undefined) throw unknownFunction(call.name);
  return (item) => {
    const value = comparable(found.type, found.get(item));
    return value === null ? null : test(value);
  };
}

/** The test of a query function (learn.microsoft.com: Web API Query Function Reference). */
function queryFunction(
  name: string,
  values: Comparable[],
): ((value: string | number | bigint) => boolean) | undefined {
  const set = new Set(values);
  const [low, high] = values as [string | number | bigint, string | number | bigint];
  const codes = new Set(values.map(String));
  const containsCodes = (value: unknown): boolean =>
    String(value)
      .split(',')
      .some((code) => codes.has(code));
  switch (name) {
    case 'In':
      return (value) => set.has(value);
    case 'NotIn':
      return (value) => !set.has(value);
    case 'Between':
      return (value) => value >= low && value <= high;
    case 'NotBetween':
      return (value) => value < low || value > high;
    case 'OnOrAfter':
      return (value) => value >= low;
    case 'OnOrBefore':
      return (value) => value <= low;
    case 'ContainValues':
      return containsCodes;
    case 'DoesNotContainValues':
      return (value) => !containsCodes(value);
    default:
      return undefined;
  }
}

function unknownFunction(name: string): Error {
  return badRequest(`An unknown function with name '${name}' was found.`);
}

function compileTextCall<T>(
  call: Filter & { kind: 'call' },
  pattern: (text: string) => string,
  field: (path: string) => Field<T>,
): Test<T> {
  const [property, text] = call.arguments;
  if (property?.kind !== 'property' || text?.kind !== 'literal') throw unknownFunction(call.name);
  const found = field(property.path);
  const expression = new RegExp(pattern(like(text.text)), 'isu');
  return (item) => {
    const value = found.get(item);
    return value === null || value === undefined ? null : expression.test(String(value));
  };
}

const contains = (body: string): string => body;
const startsWith = (body: string): string => `^${body}`;
const endsWith = (body: string): string => `${body}$`;

/** A regular expression for a text. `%`, `_` and `[a-z]` have the same meaning in a Dataverse filter as in SQL's LIKE. */
function like(text: string): string {
  return text.replace(
    /%|_|\[(\^?)([^\]]+)\]|[\\^$.*+?()[\]{}|/]/g,
    (match, negated?: string, set?: string) => {
      if (match === '%') return '.*';
      if (match === '_') return '.';
      if (set !== undefined) return `[${negated}${set.replace(/[\\\]]/g, '\\$&')}]`;
      return `\\${match}`;
    },
  );
}

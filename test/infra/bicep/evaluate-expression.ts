import { type FunctionContext, functions, WrongArgument } from './functions.ts';
import type { Expression } from './syntax.ts';
import { BicepError } from './tokens.ts';
import {
  isObject,
  isRuntimeText,
  Known,
  LambdaValue,
  Reference,
  runtimeText,
  typeOf,
  type Value,
} from './values.ts';

/** The names that an expression can use. */
export interface Scope extends FunctionContext {
  /** @throws BicepError if there is no such name */
  lookUp(name: string, at: Expression): Value;
}

/** A scope with names of its own: those of a `for` or a lambda. */
export function within(scope: Scope, names: Record<string, Value>): Scope {
  return {
    resourceGroup: scope.resourceGroup,
    readFile: (path) => scope.readFile(path),
    lookUp: (name, at) => (Object.hasOwn(names, name) ? names[name] : scope.lookUp(name, at)),
  };
}

/**
 * The value of an expression. Only the branch of `? :` that is taken is evaluated, as in a deployment.
 * @throws BicepError if a deployment would fail here
 */
export function evaluate(expression: Expression, scope: Scope): Value {
  const of = (one: Expression) => evaluate(one, scope);
  const fail = (message: string): never => {
    throw new BicepError(message, expression.place);
  };
  switch (expression.kind) {
    case 'literal':
      return expression.value;
    case 'text':
      return expression.texts.reduce(
        (all, one, i) => all + asText(of(expression.expressions[i - 1]!), fail) + one,
      );
    case 'name':
      return scope.lookUp(expression.name, expression);
    case 'object': {
      const entries = expression.entries.map(({ key, value }) => [asText(of(key), fail), of(value)] as const);
      return Object.fromEntries(entries);
    }
    case 'array':
      return expression.items.map(of);
    case 'for':
      return itemsOf(expression, scope).map((one) => evaluate(expression.body, one));
    case 'member':
      return member(of(expression.of), expression.name, expression.isSafe, fail);
    case 'index': {
      const container = of(expression.of);
      const at = of(expression.at);
      if (typeof at === 'string') return member(container, at, expression.isSafe, fail);
      if (!Array.isArray(container)) return fail(`An index needs an array, not ${typeOf(container)}`);
      if (!(Number(at) in container)) return fail(`The array has no item ${at}`);
      return container[Number(at)];
    }
    case 'call':
      return call(expression, scope, fail);
    case 'lambda':
      return new LambdaValue((args) =>
        evaluate(
          expression.body,
          within(scope, Object.fromEntries(expression.params.map((one, i) => [one, args[i]]))),
        ),
      );
    case 'unary': {
      const value = of(expression.of);
      if (expression.operator === '!') return !asBool(value, fail);
      return -asNumber(value, fail);
    }
    case 'binary':
      return binary(expression, of, fail);
    case 'choice':
      return asBool(of(expression.condition), fail) ? of(expression.then) : of(expression.otherwise);
    case 'certain':
      return of(expression.of);
    case 'if':
      return asBool(of(expression.condition), fail) ? of(expression.body) : undefined;
  }
}

type Fail = (message: string) => never;

/** One scope for each item of a `for`. */
export function itemsOf(loop: Expression & { kind: 'for' }, scope: Scope): Scope[] {
  const list = evaluate(loop.list, scope);
  if (!Array.isArray(list)) throw new BicepError(`for needs an array, not ${typeOf(list)}`, loop.place);
  return list.map((item, i) =>
    within(scope, { [loop.item]: item, ...(loop.index === undefined ? {} : { [loop.index]: i }) }),
  );
}

function asText(value: Value, fail: Fail): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (value instanceof Known) return runtimeText(value.from);
  if (value instanceof Reference && value.text !== undefined) return runtimeText(value.text);
  return fail(`Expected text, found ${typeOf(value)}`);
}

function asBool(value: Value, fail: Fail): boolean {
  return typeof value === 'boolean' ? value : fail(`Expected true or false, found ${typeOf(value)}`);
}

function asNumber(value: Value, fail: Fail): number {
  return typeof value === 'number' ? value : fail(`Expected a number, found ${typeOf(value)}`);
}

function member(of: Value, name: string, isSafe: boolean, fail: Fail): Value {
  if (of instanceof Reference) return of.member(name);
  if (of instanceof Known) return new Known('any', `${of.from}.${name}`);
  if ((of === null || of === undefined) && isSafe) return null;
  if (!isObject(of)) return fail(`${typeOf(of)} has no property ${name}`);
  if (!Object.hasOwn(of, name)) return isSafe ? null : fail(`There is no property ${name}`);
  return of[name];
}

function call(expression: Expression & { kind: 'call' }, scope: Scope, fail: Fail): Value {
  const { name, args, of } = expression;
  // Only `az.` and `sys.` have functions that are called like this.
  const isNamespace = of?.kind === 'name' && (of.name === 'az' || of.name === 'sys');
  if (of !== undefined && !isNamespace) return fail(`The function ${name} of a resource is not supported`);
  const known = functions[name];
  if (known === undefined) return fail(`Unknown function ${name}`);
  const [least, most] = known.args;
  if (args.length < least || args.length > most) {
    return fail(
      `${name} takes ${least === most ? least : `${least} to ${most}`} arguments, not ${args.length}`,
    );
  }
  try {
    return known.call(
      args.map((one) => evaluate(one, scope)),
      scope,
    );
  } catch (error) {
    if (error instanceof WrongArgument) return fail(`${name} needs ${error.message}`);
    throw error;
  }
}

function binary(
  expression: Expression & { kind: 'binary' },
  of: (one: Expression) => Value,
  fail: Fail,
): Value {
  const { operator } = expression;
  if (operator === '&&') return asBool(of(expression.left), fail) && asBool(of(expression.right), fail);
  if (operator === '||') return asBool(of(expression.left), fail) || asBool(of(expression.right), fail);
  if (operator === '??') return of(expression.left) ?? of(expression.right);
  const left = of(expression.left);
  const right = of(expression.right);
  if (operator === '==' || operator === '!=') {
    if (isRuntimeText(left) || isRuntimeText(right))
      return fail('A value of the deployment cannot be compared here');
    return (JSON.stringify(left) === JSON.stringify(right)) === (operator === '==');
  }
  if (operator === '=~' || operator === '!~')
    return (asText(left, fail).toLowerCase() === asText(right, fail).toLowerCase()) === (operator === '=~');
  const [a, b] = [asNumber(left, fail), asNumber(right, fail)];
  switch (operator) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    // Bicep has whole numbers only.
    case '/':
      return Math.trunc(a / b);
    case '%':
      return a % b;
    case '<':
      return a < b;
    case '>':
      return a > b;
    case '<=':
      return a <= b;
    case '>=':
      return a >= b;
  }
  return fail(`Unknown operator ${operator}`);
}

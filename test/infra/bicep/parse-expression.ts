import type { Entry, Expression } from './syntax.ts';
import { TokenReader } from './token-reader.ts';
import { BicepError, type Token } from './tokens.ts';

/** From the weakest to the strongest: learn.microsoft.com/azure/azure-resource-manager/bicep/operators */
const precedence = [
  ['??'],
  ['||'],
  ['&&'],
  ['==', '!=', '=~', '!~'],
  ['<', '>', '<=', '>='],
  ['+', '-'],
  ['*', '/', '%'],
];

/** Reads one expression. @throws BicepError */
export function parseExpression(reader: TokenReader): Expression {
  const { place } = reader;
  const condition = parseBinary(reader, 0);
  const before = reader.position;
  reader.skipNewlines();
  if (!reader.takeMark('?')) {
    reader.rewind(before);
    return condition;
  }
  reader.skipNewlines();
  const then = parseExpression(reader);
  reader.skipNewlines();
  reader.expectMark(':');
  reader.skipNewlines();
  return { kind: 'choice', condition, then, otherwise: parseExpression(reader), place };
}

function parseBinary(reader: TokenReader, level: number): Expression {
  const operators = precedence[level];
  if (operators === undefined) return parseUnary(reader);
  const { place } = reader;
  let left = parseBinary(reader, level + 1);
  for (;;) {
    const { next } = reader;
    if (next.kind !== 'mark' || !operators.includes(next.text)) return left;
    reader.take();
    left = { kind: 'binary', operator: next.text, left, right: parseBinary(reader, level + 1), place };
  }
}

function parseUnary(reader: TokenReader): Expression {
  const { place } = reader;
  for (const operator of ['!', '-'] as const)
    if (reader.takeMark(operator)) return { kind: 'unary', operator, of: parseUnary(reader), place };
  return parseMembers(reader, parsePrimary(reader));
}

function parseMembers(reader: TokenReader, start: Expression): Expression {
  let of = start;
  for (;;) {
    const { place } = reader;
    if (reader.takeMark('!')) of = { kind: 'certain', of, place };
    else if (reader.isMark('.') || reader.isMark('.?')) {
      const isSafe = reader.takeMark('.?') || !reader.takeMark('.');
      const name = reader.expectName('the name of a property');
      of = reader.isMark('(')
        ? { kind: 'call', name, args: parseArguments(reader), of, place }
        : { kind: 'member', of, name, isSafe, place };
    } else if (reader.isMark('[') || reader.isMark('[?')) {
      const isSafe = reader.takeMark('[?') || !reader.takeMark('[');
      const at = parseExpression(reader);
      reader.expectMark(']');
      of = { kind: 'index', of, at, isSafe, place };
    } else return of;
  }
}

function parsePrimary(reader: TokenReader): Expression {
  const { place, next } = reader;
  const lambda = parseLambda(reader);
  if (lambda !== undefined) return lambda;
  if (next.kind === 'number') {
    reader.take();
    return { kind: 'literal', value: next.value, place };
  }
  if (next.kind === 'string') {
    reader.take();
    return parseText(next);
  }
  if (next.kind === 'name') {
    reader.take();
    if (next.text === 'true' || next.text === 'false')
      return { kind: 'literal', value: next.text === 'true', place };
    if (next.text === 'null') return { kind: 'literal', value: null, place };
    if (reader.isMark('(')) return { kind: 'call', name: next.text, args: parseArguments(reader), place };
    return { kind: 'name', name: next.text, place };
  }
  if (reader.isMark('{')) return parseObject(reader);
  if (reader.isMark('[')) return parseArray(reader);
  if (reader.takeMark('(')) {
    reader.skipNewlines();
    const inner = parseExpression(reader);
    reader.skipNewlines();
    reader.expectMark(')');
    return inner;
  }
  return reader.fail('an expression');
}

/** `x => …` or `(x, y) => …`; undefined, with nothing read, if it is something else. */
function parseLambda(reader: TokenReader): Expression | undefined {
  const { place } = reader;
  const before = reader.position;
  const params: string[] = [];
  if (reader.isName()) params.push(reader.expectName());
  else if (reader.takeMark('(')) {
    while (reader.isName()) {
      params.push(reader.expectName());
      if (!reader.takeMark(',')) break;
    }
    if (!reader.takeMark(')')) params.length = 0;
  }
  if (params.length > 0 && reader.takeMark('=>')) {
    reader.skipNewlines();
    return { kind: 'lambda', params, body: parseExpression(reader), place };
  }
  reader.rewind(before);
  return undefined;
}

function parseArguments(reader: TokenReader): Expression[] {
  const args: Expression[] = [];
  reader.expectMark('(');
  reader.skipNewlines();
  while (!reader.takeMark(')')) {
    args.push(parseExpression(reader));
    reader.skipNewlines();
    if (reader.isMark(')')) continue;
    reader.expectMark(',');
    reader.skipNewlines();
    if (reader.isMark(')')) reader.fail('an argument');
  }
  return args;
}

function parseText(token: Token & { kind: 'string' }): Expression & { kind: 'literal' | 'text' } {
  const { texts, place } = token;
  if (token.expressions.length === 0) return { kind: 'literal', value: texts[0]!, place };
  const expressions = token.expressions.map((tokens) => {
    const inner = new TokenReader(tokens);
    const expression = parseExpression(inner);
    if (!inner.isEnd) inner.fail('the end of the expression');
    return expression;
  });
  return { kind: 'text', texts, expressions, place };
}

/** Items and entries are separated by newlines or commas. */
function endItem(reader: TokenReader, end: string): void {
  if (reader.takeMark(',')) {
    reader.skipNewlines();
    if (reader.isMark(end)) reader.fail('another item');
  } else if (!reader.skipNewlines() && !reader.isMark(end)) reader.fail(`",", a new line or "${end}"`);
}

function parseArray(reader: TokenReader): Expression {
  const { place } = reader;
  reader.expectMark('[');
  reader.skipNewlines();
  if (reader.isName('for')) {
    const loop = parseFor(reader);
    reader.skipNewlines();
    reader.expectMark(']');
    return loop;
  }
  const items: Expression[] = [];
  while (!reader.takeMark(']')) {
    items.push(parseExpression(reader));
    endItem(reader, ']');
  }
  return { kind: 'array', items, place };
}

function parseFor(reader: TokenReader): Expression {
  const { place } = reader;
  reader.take();
  let index: string | undefined;
  let item: string;
  if (reader.takeMark('(')) {
    item = reader.expectName();
    reader.expectMark(',');
    index = reader.expectName();
    reader.expectMark(')');
  } else item = reader.expectName();
  if (!reader.takeName('in')) reader.fail('"in"');
  const list = parseExpression(reader);
  reader.expectMark(':');
  reader.skipNewlines();
  const body = parseBody(reader);
  return { kind: 'for', item, list, body, place, ...(index === undefined ? {} : { index }) };
}

/** What follows `=` of a resource or module, or `:` of a `for`. */
export function parseBody(reader: TokenReader): Expression {
  const { place } = reader;
  if (!reader.takeName('if')) return parseExpression(reader);
  reader.expectMark('(');
  const condition = parseExpression(reader);
  reader.expectMark(')');
  return { kind: 'if', condition, body: parseObject(reader), place };
}

function parseObject(reader: TokenReader): Expression {
  const { place } = reader;
  const entries: Entry[] = [];
  reader.expectMark('{');
  reader.skipNewlines();
  const names = new Set<unknown>();
  while (!reader.takeMark('}')) {
    const entry = parseEntry(reader);
    if (entry.key.kind === 'literal') {
      if (names.has(entry.key.value)) {
        throw new BicepError(`The property ${entry.key.value} is given twice`, entry.place);
      }
      names.add(entry.key.value);
    }
    entries.push(entry);
    endItem(reader, '}');
  }
  return { kind: 'object', entries, place };
}

function parseEntry(reader: TokenReader): Entry {
  const { place, next } = reader;
  if (next.kind !== 'name' && next.kind !== 'string') reader.fail('the name of a property');
  reader.take();
  const key =
    next.kind === 'string' ? parseText(next) : ({ kind: 'literal', value: next.text, place } as const);
  reader.expectMark(':');
  return { key, value: parseExpression(reader), place };
}

import { parseBody, parseExpression } from './parse-expression.ts';
import type { BicepFile, Declaration, Decorator } from './syntax.ts';
import { TokenReader } from './token-reader.ts';
import { BicepError, tokenize } from './tokens.ts';

const types = ['string', 'int', 'bool', 'object', 'array'];
const scopes = ['resourceGroup', 'subscription', 'managementGroup', 'tenant'];

/**
 * Parses the part of Bicep that infra/ uses. What a compiler accepts and this does not (own types, functions, imports,
 * object spread) is reported as not supported, so nothing is left unchecked.
 * @throws BicepError
 */
export function parse(source: string): BicepFile {
  const reader = new TokenReader(tokenize(source));
  const file: BicepFile = { targetScope: 'resourceGroup', declarations: [] };
  let decorators: Decorator[] = [];
  for (;;) {
    reader.skipNewlines();
    if (reader.isEnd) break;
    if (reader.isMark('@')) {
      decorators.push(parseDecorator(reader));
      continue;
    }
    const { place } = reader;
    const keyword = reader.expectName('a declaration');
    if (keyword === 'targetScope') {
      reader.expectMark('=');
      file.targetScope = reader.expectText('a scope');
      if (!scopes.includes(file.targetScope))
        throw new BicepError(`Unknown scope ${file.targetScope}`, place);
    } else {
      file.declarations.push({ ...parseDeclaration(reader, keyword), decorators, place } as Declaration);
      decorators = [];
    }
    if (reader.next.kind !== 'newline' && !reader.isEnd) reader.fail('a new line');
  }
  if (decorators.length > 0) throw new BicepError('A decorator needs a declaration', decorators[0]!.place);
  return file;
}

function parseDecorator(reader: TokenReader): Decorator {
  const { place } = reader;
  reader.expectMark('@');
  const call = parseExpression(reader);
  if (call.kind !== 'call') throw new BicepError('A decorator is a call', place);
  if (reader.next.kind !== 'newline') reader.fail('a new line');
  return { name: call.name, args: call.args, place };
}

function parseDeclaration(reader: TokenReader, keyword: string): object {
  switch (keyword) {
    case 'param': {
      const name = reader.expectName();
      const type = parseType(reader);
      return reader.takeMark('=')
        ? { kind: keyword, name, type, value: parseExpression(reader) }
        : { kind: keyword, name, type };
    }
    case 'var': {
      const name = reader.expectName();
      reader.expectMark('=');
      return { kind: keyword, name, value: parseExpression(reader) };
    }
    case 'output': {
      const name = reader.expectName();
      const type = parseType(reader);
      reader.expectMark('=');
      return { kind: keyword, name, type, value: parseExpression(reader) };
    }
    case 'resource': {
      const name = reader.expectName();
      const reference = reader.expectText('a resource type with its version');
      const isExisting = reader.takeName('existing');
      reader.expectMark('=');
      return { kind: keyword, name, reference, isExisting, value: declaredBody(reader) };
    }
    case 'module': {
      const name = reader.expectName();
      const path = reader.expectText('the path of a module');
      reader.expectMark('=');
      return { kind: keyword, name, path, value: declaredBody(reader) };
    }
    default:
      return reader.fail(`a declaration that is supported, not ${keyword},`);
  }
}

function declaredBody(reader: TokenReader) {
  const value = parseBody(reader);
  if (!['object', 'if', 'for'].includes(value.kind)) throw new BicepError('Expected {', value.place);
  return value;
}

function parseType(reader: TokenReader): string {
  const { place } = reader;
  let type = reader.expectName('a type');
  if (!types.includes(type)) throw new BicepError(`Unknown type ${type}`, place);
  while (reader.takeMark('[')) {
    reader.expectMark(']');
    type += '[]';
  }
  if (reader.takeMark('?')) type += '?';
  return type;
}

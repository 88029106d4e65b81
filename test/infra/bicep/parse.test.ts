import { describe, expect, it } from 'vitest';
import { parse } from './parse.ts';
import type { Declaration, Expression } from './syntax.ts';
import { BicepError, tokenize } from './tokens.ts';

/** The value of `var x = …`, without places. */
function parsed(text: string): unknown {
  const { declarations } = parse(`var x = ${text}`);
  return withoutPlaces((declarations[0] as Declaration & { value: Expression }).value);
}
const withoutPlaces = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (key, one) => (key === 'place' ? undefined : one)));

const literal = (value: string | number | boolean | null) => ({ kind: 'literal', value });
const name = (text: string) => ({ kind: 'name', name: text });

describe('tokens', () => {
  it('are names, numbers, texts, marks and newlines, without comments', () => {
    const tokens = tokenize("a 12 'b' // c\n/* d\n */ ?? => [?");
    expect(tokens.map((one) => ('text' in one ? one.text : one.kind))).toEqual([
      'a',
      'number',
      'string',
      'newline',
      '??',
      '=>',
      '[?',
      'end',
    ]);
  });

  it('know their line and column', () => {
    expect(tokenize('\n  /* \n */ a').find(({ kind }) => kind === 'name')!.place).toEqual({
      line: 3,
      column: 5,
    });
    expect(tokenize("'''\n\n''' a").find(({ kind }) => kind === 'name')!.place).toEqual({
      line: 3,
      column: 5,
    });
  });

  it('keep the expressions in texts, also nested ones and braces', () => {
    expect(parsed("'a${b}c${'d${e}'}'")).toEqual({
      kind: 'text',
      texts: ['a', 'c', ''],
      expressions: [name('b'), { kind: 'text', texts: ['d', ''], expressions: [name('e')] }],
    });
    expect(parsed("'${{ a: 1 }.a}'")).toMatchObject({ kind: 'text', texts: ['', ''] });
  });

  it('resolve escapes', () => {
    expect(parsed(String.raw`'it\'s \${x} \\ \u{1F600}\n'`)).toEqual(
      literal("it's ${x} \\ 😀\n".replace('$', '$')),
    );
    expect(parsed("'''\nraw ${x} \\n'''")).toEqual(literal('raw ${x} \\n'));
  });

  it.each([
    ["'open", 'A string does not end'],
    ["'a${b", 'does not end'],
    [String.raw`'\q'`, 'Unknown escape'],
    ['"a"', 'Unexpected character'],
    ['/* a', 'A comment does not end'],
    ["'''a", "A string with ''' does not end"],
  ])('fail for %s', (text, message) => {
    expect(() => tokenize(`var x = ${text}`)).toThrow(message);
  });
});

describe('expressions', () => {
  it('bind as Bicep does', () => {
    expect(parsed('a + b * c == d && !e || f')).toEqual(parsed('(((a + (b * c)) == d) && (!e)) || f'));
    expect(parsed('a - b - c')).toEqual(parsed('(a - b) - c'));
    expect(parsed('a ?? b ? c : d ? e : f')).toEqual(parsed('(a ?? b) ? c : (d ? e : f)'));
    expect(parsed('-a.b[0]')).toEqual(parsed('-((a.b)[0])'));
  });

  it('reach into objects, arrays and resources', () => {
    expect(parsed("a.b.?c['d'][?1]!.e")).toEqual({
      kind: 'member',
      isSafe: false,
      name: 'e',
      of: {
        kind: 'certain',
        of: {
          kind: 'index',
          isSafe: true,
          at: literal(1),
          of: {
            kind: 'index',
            isSafe: false,
            at: literal('d'),
            of: {
              kind: 'member',
              isSafe: true,
              name: 'c',
              of: { kind: 'member', isSafe: false, name: 'b', of: name('a') },
            },
          },
        },
      },
    });
  });

  it('call functions over several lines, and take lambdas', () => {
    expect(parsed('map(\n  a,\n  x => x.b\n)')).toEqual({
      kind: 'call',
      name: 'map',
      args: [
        name('a'),
        { kind: 'lambda', params: ['x'], body: { kind: 'member', isSafe: false, name: 'b', of: name('x') } },
      ],
    });
    expect(parsed('reduce(a, 0, (x, y) => x + y)')).toMatchObject({
      args: [{}, {}, { params: ['x', 'y'] }],
    });
    expect(parsed('(a)')).toEqual(name('a'));
    expect(parsed("az.resourceId('A/b', 'c')")).toMatchObject({
      kind: 'call',
      name: 'resourceId',
      of: name('az'),
    });
  });

  it('are objects and arrays with commas or lines', () => {
    const both = { kind: 'array', items: [literal(1), literal(2)] };
    expect(parsed('[1, 2]')).toEqual(both);
    expect(parsed('[\n  1\n  2\n]')).toEqual(both);
    expect(parsed("{ a: 1, 'b-${c}': null }")).toEqual(parsed("{\n  a: 1\n  'b-${c}': null\n}"));
    expect(parsed('[]')).toEqual({ kind: 'array', items: [] });
    expect(parsed('{}')).toEqual({ kind: 'object', entries: [] });
  });

  it('loop with and without an index', () => {
    expect(parsed('[for a in b: a]')).toEqual({ kind: 'for', item: 'a', list: name('b'), body: name('a') });
    expect(parsed('[\n for (a, i) in b: {\n c: i\n }\n]')).toMatchObject({
      kind: 'for',
      item: 'a',
      index: 'i',
    });
  });

  it.each([
    ['[1 2]', 'Expected ","'],
    ['[1,, 2]', 'Expected an expression'],
    ['[1, 2,]', 'another item'],
    ['{ a: 1 b: 2 }', 'Expected ","'],
    ['{ a 1 }', 'Expected ":"'],
    ['{ a: 1, a: 2 }', 'The property a is given twice'],
    ['f(a b)', 'Expected ","'],
    ['f(a,)', 'Expected an argument'],
    ['a ? b', 'Expected ":"'],
    ['a +', 'Expected an expression'],
    ['(a', 'Expected ")"'],
    ["'${a b}'", 'Expected the end of the expression'],
    ['[for a b: c]', 'Expected "in"'],
    ['a b', 'Expected a new line'],
    ['', 'Expected an expression'],
    ['{ ...a }', 'Expected the name of a property'],
  ])('fail for %s', (text, message) => {
    expect(() => parsed(text)).toThrow(message);
  });
});

describe('declarations', () => {
  it('are parameters, variables, resources, modules and outputs with decorators', () => {
    const { targetScope, declarations } = parse(`
      targetScope = 'subscription'
      @description('A')
      @allowed(['x', 'y'])
      param a string = 'x'
      param b string[]
      var c = 1
      resource d 'Microsoft.A/b@2025-01-01' existing = { name: a }
      resource e 'Microsoft.A/b@2025-01-01' = if (c == 1) { name: a }
      resource f 'Microsoft.A/b@2025-01-01' = [for x in b: if (x == a) { name: x }]
      module g 'g.bicep' = { name: 'g', params: { a: a } }
      output h string = g.outputs.h
    `);
    expect(targetScope).toBe('subscription');
    expect(declarations.map((one) => `${one.kind} ${one.name}`)).toEqual([
      'param a',
      'param b',
      'var c',
      'resource d',
      'resource e',
      'resource f',
      'module g',
      'output h',
    ]);
    expect(declarations[0]!.decorators.map((one) => one.name)).toEqual(['description', 'allowed']);
    expect(declarations[1]).toMatchObject({ type: 'string[]' });
    expect(declarations[3]).toMatchObject({ isExisting: true, reference: 'Microsoft.A/b@2025-01-01' });
    expect(declarations[4]).toMatchObject({ value: { kind: 'if' } });
    expect(declarations[5]).toMatchObject({ value: { kind: 'for', body: { kind: 'if' } } });
  });

  it.each([
    ['param a text', 'Unknown type text'],
    ['param a', 'Expected a type'],
    ['var a 1', 'Expected "="'],
    ["targetScope = 'planet'", 'Unknown scope'],
    ["resource a 'A/b@2025-01-01' = 'x'", 'Expected {'],
    ["resource a 'A/${b}@2025-01-01' = {}", 'Expected a resource type'],
    ["@description('x')", 'Expected a new line'],
    ["@description('x')\n", 'A decorator needs a declaration'],
    ['@description', 'A decorator is a call'],
    ["type a = 'x'", 'Expected a declaration that is supported'],
    ["import 'x'", 'Expected a declaration that is supported'],
    ['= 1', 'Expected a declaration'],
  ])('fail for %s', (text, message) => {
    expect(() => parse(text)).toThrow(message);
    expect(() => parse(text)).toThrow(BicepError);
  });
});

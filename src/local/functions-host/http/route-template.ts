import { ConfigurationError } from '../../../errors.ts';

type Check = (value: string) => boolean;

/** A segment of the template's path: a literal, or a parameter with the text around it. */
interface Segment {
  pattern: string;
  names: string[];
  checks: [name: string, check: Check][];
  optional: boolean;
  /** ASP.NET's order: literal 1, constrained parameter 2, parameter 3, constrained catch-all 4, catch-all 5. */
  precedence: number;
}

/**
 * The route template of an HTTP trigger: `sync/{runId}`, `{runId?}`, `{id:guid}`, `{**rest}`
 * (learn.microsoft.com: Routing in ASP.NET Core, "Route templates"). Letter case is ignored.
 */
export class RouteTemplate {
  readonly template: string;
  readonly #segments: Segment[];
  readonly #pattern: RegExp;

  /** @throws ConfigurationError if the template is not valid or has an unknown constraint */
  constructor(template: string) {
    this.template = template;
    this.#segments = template
      .split('/')
      .filter((text) => text !== '')
      .map((text) => parseSegment(text, template));
    const body = this.#segments.map(({ pattern, optional }) =>
      optional ? `(?:/${pattern})?` : `/${pattern}`,
    );
    this.#pattern = new RegExp(`^${body.join('')}/?$`, 'i');
  }

  /** The parameters of a path (without its query), or undefined if it does not match. */
  match(path: string): Record<string, string> | undefined {
    const found = this.#pattern.exec(path === '' ? '/' : path);
    if (found === null) return undefined;
    const params: Record<string, string> = {};
    let group = 0;
    for (const { names, checks } of this.#segments) {
      for (const name of names) {
        const value = found[++group];
        if (value === undefined || value === '') continue;
        const text = decode(value);
        if (!checks.every(([checked, check]) => checked !== name || check(text))) return undefined;
        params[name] = text;
      }
    }
    return params;
  }

  /** Sorts more specific templates first. */
  static compare(a: RouteTemplate, b: RouteTemplate): number {
    const length = Math.max(a.#segments.length, b.#segments.length);
    for (let index = 0; index < length; index++) {
      const difference = (a.#segments[index]?.precedence ?? 0) - (b.#segments[index]?.precedence ?? 0);
      if (difference !== 0) return difference;
    }
    return 0;
  }
}

function parseSegment(text: string, template: string): Segment {
  const segment: Segment = { pattern: '', names: [], checks: [], optional: false, precedence: 1 };
  let end = 0;
  for (const match of text.matchAll(/\{(\*{0,2})([A-Za-z_]\w*)((?::[^{}]+?)*)(\??)\}/g)) {
    const [whole, stars, name, constraints, question] = match;
    segment.pattern += toPattern(text.slice(end, match.index), template);
    segment.pattern += stars === '' ? '([^/]+)' : '(.*)';
    segment.names.push(name!);
    for (const constraint of constraints!.split(/:(?![^()]*\))/).slice(1)) {
      segment.checks.push([name!, parseConstraint(constraint, template)]);
    }
    if (question === '?' || stars !== '') segment.optional = true;
    const base = stars === '' ? 3 : 5;
    segment.precedence = constraints === '' ? base : base - 1;
    end = match.index + whole.length;
  }
  segment.pattern += toPattern(text.slice(end), template);
  return segment;
}

function toPattern(literal: string, template: string): string {
  if (/[{}]/.test(literal)) {
    throw new ConfigurationError(`The route "${template}" is not valid at "${literal}"`, {
      object: template,
    });
  }
  return literal.replace(/[\\^$.*+?()[\]|]/g, '\\$&');
}

function decode(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

const GUID = /^\{?[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\}?$/i;

function parseConstraint(constraint: string, template: string): Check {
  const [, name = '', argument = ''] = /^(\w+)(?:\((.*)\))?$/.exec(constraint) ?? [];
  const [first = Number.NaN, second = first] = argument.split(',').map(Number);
  switch (name.toLowerCase()) {
    case 'alpha':
      return (value) => /^[a-z]*$/i.test(value);
    case 'bool':
      return (value) => /^(true|false)$/i.test(value);
    case 'datetime':
      return (value) => !Number.isNaN(Date.parse(value));
    case 'decimal':
    case 'double':
    case 'float':
      return (value) => value.trim() !== '' && Number.isFinite(Number(value));
    case 'guid':
      return (value) => GUID.test(value);
    case 'int':
      return (value) => /^-?\d+$/.test(value) && Math.abs(Number(value)) <= 2 ** 31;
    case 'long':
      return (value) => /^-?\d+$/.test(value);
    case 'length':
      return (value) => value.length >= first && value.length <= second;
    case 'minlength':
      return (value) => value.length >= first;
    case 'maxlength':
      return (value) => value.length <= first;
    case 'min':
      return (value) => /^-?\d+$/.test(value) && Number(value) >= first;
    case 'max':
      return (value) => /^-?\d+$/.test(value) && Number(value) <= first;
    case 'range':
      return (value) => /^-?\d+$/.test(value) && Number(value) >= first && Number(value) <= second;
    case 'regex': {
      const pattern = new RegExp(argument, 'i');
      return (value) => pattern.test(value);
    }
    default:
      throw new ConfigurationError(`The route "${template}" has the unknown constraint "${constraint}"`, {
        object: template,
      });
  }
}

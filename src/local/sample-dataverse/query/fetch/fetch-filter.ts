import { badRequest } from '../../http/service-error.ts';
import { columnIndex, type Table } from '../../metadata/model.ts';
import type { Comparison, Filter, Operand } from '../options/parse-filter.ts';
import type { Element } from './parse-fetch.ts';

/** The property of an attribute: `_parentcustomerid_value` of the lookup `parentcustomerid`. */
export function propertyOf(table: Table, attribute: string | undefined): string {
  const column = table.columns.find(({ logicalName }) => logicalName === attribute);
  if (column !== undefined && columnIndex(table, column.name) >= 0) return column.name;
  throw badRequest(
    `'${table.logicalName}' entity doesn't contain attribute with Name = '${attribute}'.`,
    '0x80041103',
  );
}

/** The condition of the `filter` elements of an entity; undefined if there are none. */
export function fetchFilter(table: Table, entity: Element): Filter | undefined {
  const filters = entity.children.filter(({ name }) => name === 'filter');
  return all(filters.map((filter) => filterOf(table, filter)));
}

function filterOf(table: Table, { attributes, children }: Element): Filter {
  const parts = children.map((child) =>
    child.name === 'filter' ? filterOf(table, child) : conditionOf(table, child),
  );
  const joined = attributes['type'] === 'or' ? any(parts) : all(parts);
  if (joined === undefined) throw badRequest('A filter has no condition.', '0x80041102');
  return joined;
}

function conditionOf(table: Table, { attributes, children }: Element): Filter {
  const path = propertyOf(table, attributes['attribute']);
  const { type } = table.columns[columnIndex(table, path)]!;
  const operator = attributes['operator'] ?? '';
  const literal = (text: string): Operand => ({
    kind: 'literal',
    type: type === 'Edm.String' ? 'string' : type === 'Edm.Guid' ? 'guid' : 'number',
    text,
  });
  const property: Operand = { kind: 'property', path };
  const compare = (name: Comparison, right: Operand): Filter => ({
    kind: 'compare',
    operator: name,
    left: property,
    right,
  });
  const value = attributes['value'] ?? '';
  const values = children.filter(({ name }) => name === 'value').map(({ text }) => text);
  const nothing: Operand = { kind: 'literal', type: 'null', text: 'null' };
  const text = (name: string, pattern: string): Filter => ({
    kind: 'call',
    name,
    arguments: [property, { kind: 'literal', type: 'string', text: pattern }],
    named: new Map(),
  });
  switch (operator) {
    case 'eq':
    case 'ne':
    case 'gt':
    case 'ge':
    case 'lt':
    case 'le':
      return compare(operator, literal(value));
    case 'null':
      return compare('eq', nothing);
    case 'not-null':
      return compare('ne', nothing);
    case 'in':
      return any(values.map((each) => compare('eq', literal(each)))) ?? compare('eq', nothing);
    case 'not-in':
      return all(values.map((each) => compare('ne', literal(each)))) ?? compare('ne', nothing);
    case 'begins-with':
      return text('startswith', value);
    case 'ends-with':
      return text('endswith', value);
    case 'like':
      return text('contains', value.replace(/^%|%$/g, ''));
    default:
      throw badRequest(`The sample does not support the operator '${operator}'.`, '0x80041102');
  }
}

function all(filters: Filter[]): Filter | undefined {
  return filters.length === 0 ? undefined : filters.reduce((left, right) => ({ kind: 'and', left, right }));
}

function any(filters: Filter[]): Filter | undefined {
  return filters.length === 0 ? undefined : filters.reduce((left, right) => ({ kind: 'or', left, right }));
}

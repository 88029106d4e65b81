import { describe, expect, test } from 'vitest';
import { RouteTemplate } from '../../../../src/local/functions-host/http/route-template.ts';

const guid = '6f9619ff-8b86-d011-b42d-00cf4fc964ff';

describe('route templates', () => {
  test.each([
    ['api/sync', '/api/sync', {}],
    ['api/sync', '/API/sync/', {}],
    ['api/sync', '/api/sync/1', undefined],
    ['api/sync/{runId}', '/api/sync/a%20b', { runId: 'a b' }],
    ['api/sync/{runId}', '/api/sync', undefined],
    ['api/sync/{runId?}', '/api/sync', {}],
    ['api/sync/{runId?}', '/api/sync/x', { runId: 'x' }],
    ['api/{id:guid}', `/api/${guid}`, { id: guid }],
    ['api/{id:guid}', '/api/7', undefined],
    ['api/{id:int:min(5)?}', '/api/7', { id: '7' }],
    ['api/{id:int:min(5)?}', '/api/4', undefined],
    ['api/{id:length(2,3)}', '/api/abcd', undefined],
    ['api/{id:range(1,3)}', '/api/3', { id: '3' }],
    ['api/{name:alpha}', '/api/a1', undefined],
    ['api/{code:regex(^a+$)}', '/api/aaa', { code: 'aaa' }],
    ['api/{at:regex(^\\d:\\d$)?}', '/api/1:2', { at: '1:2' }],
    ['api/{file}.{ext}', '/api/dataverse.db', { file: 'dataverse', ext: 'db' }],
    ['api/v1.0/x', '/api/v1a0/x', undefined],
    ['api/{**rest}', '/api/a/b%2Fc', { rest: 'a/b/c' }],
    ['api/{**rest}', '/api', {}],
    ['/', '/', {}],
  ])('%s matches %s with %j', (template, path, params) => {
    expect(new RouteTemplate(template).match(path)).toEqual(params);
  });

  test('more specific templates come first', () => {
    const templates = ['api/{**all}', 'api/{id}', 'api/{id:guid}', 'api/latest'].map(
      (text) => new RouteTemplate(text),
    );
    expect(templates.sort(RouteTemplate.compare).map(({ template }) => template)).toEqual([
      'api/latest',
      'api/{id:guid}',
      'api/{id}',
      'api/{**all}',
    ]);
  });

  test.each(['api/{id', 'api/{id:unheardof}', 'api/{1}'])('%s is rejected', (template) => {
    expect(() => new RouteTemplate(template)).toThrow(/The route/);
  });
});

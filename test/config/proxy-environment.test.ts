import { expect, it } from 'vitest';
import { keepLoopbackDirect } from '../../src/config/proxy-environment.ts';

it('adds this machine to NO_PROXY if a proxy is set', () => {
  const loopback = 'localhost,.localhost,127.0.0.1,[::1],::1';
  for (const name of ['HTTP_PROXY', 'https_proxy', 'ALL_PROXY']) {
    const env: Record<string, string> = { [name]: 'http://proxy:8080', no_proxy: 'a.example, 127.0.0.1' };
    keepLoopbackDirect(env);
    const expected = 'a.example,127.0.0.1,localhost,.localhost,[::1],::1';
    expect(env).toMatchObject({ [name]: 'http://proxy:8080', NO_PROXY: expected, no_proxy: expected });
  }
  const env: Record<string, string> = { HTTP_PROXY: 'http://proxy:8080' };
  keepLoopbackDirect(env);
  expect(env['NO_PROXY']).toBe(loopback);
});

it('changes nothing without a proxy', () => {
  const env = { NO_PROXY: 'a.example' };
  keepLoopbackDirect(env);
  expect(env).toEqual({ NO_PROXY: 'a.example' });
});

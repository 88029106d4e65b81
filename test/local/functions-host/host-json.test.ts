import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readHostJson } from '../../../src/local/functions-host/host-json.ts';
import { filteredLog, type LogEntry } from '../../../src/local/functions-host/log.ts';
import { resolveSettings } from '../../../src/local/functions-host/resolve-settings.ts';
import { parseTimeSpan } from '../../../src/local/functions-host/timers/time-span.ts';
import { temporaryFolder } from '../../temporary-folder.ts';

async function hostJson(json: unknown, settings: Record<string, string> = {}) {
  const folder = temporaryFolder();
  await writeFile(join(folder, 'host.json'), typeof json === 'string' ? json : JSON.stringify(json));
  return readHostJson(folder, settings);
}

describe('host.json', () => {
  test('has the defaults of the Azure host', async () => {
    expect(await hostJson({ version: '2.0' })).toMatchObject({
      queues: {
        batchSize: 16,
        newBatchThreshold: 8,
        maxDequeueCount: 5,
        visibilityTimeout: 0,
        messageEncoding: 'base64',
      },
      routePrefix: 'api',
      functionTimeout: 1_800_000,
    });
  });

  test('of this project is valid', async () => {
    const { queues } = await readHostJson(resolve(import.meta.dirname, '../../..'), {});
    expect(queues.visibilityTimeout).toBe(10_000);
  });

  test('is overridden by settings', async () => {
    const json = { functionTimeout: '-1', extensions: { queues: { batchSize: 8 } } };
    const read = await hostJson(json, {
      AzureFunctionsJobHost__extensions__queues__batchSize: '4',
      AzureFunctionsJobHost__Extensions__Http__RoutePrefix: '',
    });
    expect(read).toMatchObject({ queues: { batchSize: 4, newBatchThreshold: 2 }, routePrefix: '' });
    expect(read.functionTimeout).toBe(Number.POSITIVE_INFINITY);
  });

  test.each([
    ['not json', /Cannot read .*host\.json/],
    [{ extensions: { queues: { batchSize: 33 } } }, 'batchSize must be a whole number from 1 to 32, not 33'],
    [{ extensions: { queues: { messageEncoding: 'utf8' } } }, 'messageEncoding'],
    [{ functionTimeout: '5 minutes' }, 'functionTimeout: "5 minutes" is not a time span'],
  ])('%j is rejected', async (json, message) => {
    await expect(hostJson(json)).rejects.toThrow(message);
  });
});

test.each([
  ['00:00:10', 10_000],
  ['1:02:03', 3_723_000],
  ['1.00:00:00.5', 86_400_500],
  ['24:00:00', 24 * 86_400_000],
])('the time span %s is %d ms', (text, expected) => {
  expect(parseTimeSpan(text, 'test')).toBe(expected);
});

test.each(['10', '00:60:00', '00:00:61', 'soon'])('%s is not a time span', (text) => {
  expect(() => parseTimeSpan(text, 'test')).toThrow('is not a time span');
});

test('names of settings are replaced at any depth', () => {
  const binding = { queueName: '%A%-poison', list: ['%B%', 1, null], text: '100% of %A%' };
  expect(resolveSettings(binding, { A: 'jobs', B: 'x' }, 'Function f')).toEqual({
    queueName: 'jobs-poison',
    list: ['x', 1, null],
    text: '100% of jobs',
  });
  expect(() => resolveSettings('%C%', {}, 'Function f')).toThrow('Function f: the app setting C is not set');
});

test('the longest matching category decides what is logged', () => {
  const seen: string[] = [];
  const log = filteredLog(
    { default: 'Warning', Function: 'Error', 'Function.a': 'Trace', 'Function.b.User': 'None' },
    ({ category }) => seen.push(category),
  );
  const entry = (category: string, level: LogEntry['level']) => log({ category, level, message: '' });
  entry('Host.Startup', 'information');
  entry('Host.Startup', 'warning');
  entry('Function.a.User', 'debug');
  entry('Function.c', 'warning');
  entry('Function.c', 'error');
  entry('Function.b.User', 'critical');
  expect(seen).toEqual(['Host.Startup', 'Function.a.User', 'Function.c']);
});

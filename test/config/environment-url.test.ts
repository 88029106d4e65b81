import { expect, it } from 'vitest';
import { environmentOrigin } from '../../src/config/environment-url.ts';
import { readSettings } from '../../src/config/settings.ts';
import { createDataverseClient } from '../../src/dataverse/client.ts';
import { createCredential } from '../../src/dataverse/credential.ts';

const credential = createCredential({ accessToken: 'x' });

/** Everything that reads the URL of an environment. They must accept and reject the same URLs. */
const callers: [string, (url: string) => string][] = [
  ['environmentOrigin', environmentOrigin],
  [
    'readSettings',
    (url) =>
      readSettings({ DATAVERSE_URL: url, AzureWebJobsStorage: 'UseDevelopmentStorage=true' }).dataverse.url,
  ],
  ['createDataverseClient', (url) => createDataverseClient({ url, credential }).origin],
];

const accepted = [
  ['https://org.crm.dynamics.com', 'https://org.crm.dynamics.com'],
  ['https://org.crm.dynamics.com/', 'https://org.crm.dynamics.com'],
  ['https://org.crm.dynamics.com/api/data/v9.2/', 'https://org.crm.dynamics.com'],
  ['http://localhost:8080', 'http://localhost:8080'],
  ['http://127.0.0.1:8080', 'http://127.0.0.1:8080'],
  ['http://[::1]:8080', 'http://[::1]:8080'],
] as const;

const rejected = [
  ['http://org.crm.dynamics.com', 'https'],
  ['ftp://127.0.0.1', 'https'],
  ['http://127.0.0.1.evil.example', 'https'],
  ['https://user:secret@org.crm.dynamics.com', 'origin alone'],
  ['https://org.crm.dynamics.com/main.aspx', 'origin alone'],
  ['https://org.crm.dynamics.com/?x=1', 'origin alone'],
  ['org.crm.dynamics.com', 'not a valid URL: org.crm.dynamics.com'],
  ['https://user:secret@org:port', 'not a valid URL'],
] as const;

it.each(callers.flatMap(([name, read]) => accepted.map(([url, origin]) => ({ name, read, url, origin }))))(
  '$name accepts $url',
  ({ read, url, origin }) => {
    expect(read(url)).toBe(origin);
  },
);

it.each(callers.flatMap(([name, read]) => rejected.map(([url, reason]) => ({ name, read, url, reason }))))(
  '$name rejects $url',
  ({ read, url, reason }) => {
    expect(() => read(url)).toThrow(reason);
    expect(() => read(url)).not.toThrow('secret');
  },
);

import { expect, test } from 'vitest';
import { clientFor, sendError, startServer } from '../http-server.ts';

const id = '00000000-0000-4000-8000-000000000001';
const other = '00000000-0000-4000-8000-000000000002';

test('associates rows, also twice, and disassociates them', async () => {
  await using server = await startServer((_, response, number) => {
    if (number === 2) sendError(response, 412, '0x80040237', 'Cannot insert duplicate key.');
    else response.writeHead(204).end();
  });
  const client = clientFor(server);
  const [from, to] = [
    { entitySet: 'accounts', id },
    { entitySet: 'leads', id: other },
  ];
  await client.associate(from, 'accountleads_association', to);
  await client.associate(from, 'accountleads_association', to);
  expect(await client.disassociate(from, 'accountleads_association', other)).toBe(true);
  expect(server.requests[0]).toMatchObject({
    method: 'POST',
    url: `/api/data/v9.2/accounts(${id})/accountleads_association/$ref`,
    body: JSON.stringify({ '@odata.id': `${server.url}/api/data/v9.2/leads(${other})` }),
  });
  expect(server.requests[2]!.url).toBe(
    `/api/data/v9.2/accounts(${id})/accountleads_association(${other})/$ref`,
  );
});

import { expect, test } from 'vitest';
import { attachment } from '../../src/http/content-disposition.ts';

test.each([
  ['dataverse.db', 'attachment; filename="dataverse.db"'],
  ['my mirror.db', 'attachment; filename="my mirror.db"'],
  ['a"b\\c\r\n.db', `attachment; filename="a_b_c__.db"; filename*=UTF-8''a%22b%5Cc%0D%0A.db`],
  ["Spejl (æ)'s.db", `attachment; filename="Spejl (_)'s.db"; filename*=UTF-8''Spejl%20%28%C3%A6%29%27s.db`],
])('%j', (name, expected) => {
  expect(attachment(name)).toBe(expected);
});

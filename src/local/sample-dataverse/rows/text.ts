import type { Column } from '../metadata/model.ts';
import type { Random } from './random.ts';

const first = ['Ada', 'Zoë', 'José', 'Łukasz', 'Nguyễn', 'Олена', '美咲', 'O’Brian', 'Jean-Luc', 'Mary'];
const last = ['Lovelace', 'Müller', "O'Hara", 'Østergård', 'Ćosić', '山田', 'de la Cruz', 'Smith', 'Ünlü'];
const words = ['amber', 'basin', 'copper', 'delta', 'ember', 'fjord', 'granite', 'harbour', 'island', 'jade'];
/** What breaks careless writers and readers: quotes, back-slashes, control characters, emoji, right-to-left. */
const hard = [
  'He said "no" and left\r\nfor good\t!',
  'C:\\temp\\new',
  '👩‍👩‍👧 family, 🏳️‍🌈 and 🇩🇰',
  'שלום — سلام',
  "Robert'); DROP TABLE accounts;--",
  '\u0001\u001f control, \u2028 line, \u007f del',
  '100% _[a-z]',
  '{"value":[{"@odata.nextLink":"no"}]}',
  ' leading and trailing ',
  '0012',
];

/** Text that suits a column: unique where a key asks for it, sometimes hard, rarely very long. */
export function textFor(column: Column, random: Random, index: number): string {
  const limit = column.maxLength ?? 100;
  return cut(wanted(column, random, index, limit), limit);
}

function wanted(column: Column, random: Random, index: number, limit: number): string {
  const name = column.name;
  if (name.includes('email')) return `${random.pick(words)}.${index}@${random.pick(words)}.example`;
  if (name === 'accountnumber') return `A-${String(index).padStart(7, '0')}`;
  if (name === 'apex_runid') return `run-${index}`;
  if (name === 'apex_campaignid') return `campaign-${index % 40}`;
  if (name === 'apex_phase') return '2-3';
  if (name.includes('phone')) return `+${random.digits(2)} ${random.digits(8)}`;
  if (name.includes('url')) return `https://${random.pick(words)}.example/?q=${random.below(999)}&x=%20`;
  if (random.chance(0.08)) return random.pick(hard);
  if (name.endsWith('name')) return `${random.pick(first)} ${random.pick(last)} ${index}`;
  if (limit > 10_000 && random.chance(0.02))
    return `${random.pick(hard)} ${random.pick(words)}\n`.repeat(120);
  const length = 1 + random.below(limit > 1000 ? 30 : 4);
  return Array.from({ length }, () => random.pick(words)).join(' ');
}

/** At most `limit` UTF-16 units, never half a surrogate pair. */
function cut(text: string, limit: number): string {
  return text.length <= limit ? text : text.slice(0, limit).replace(/[\ud800-\udbff]$/, '');
}

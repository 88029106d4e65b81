import type { Random } from '../../rows/random.ts';

/** What the sample organization sells: printed matter and equipment for events. Price in euros, weight in kg. */
export const products = [
  { name: 'Roll-up banner 85 × 200 cm', price: 79, weight: 3.2 },
  { name: 'Feather flag, 3.4 m', price: 119, weight: 4.1 },
  { name: 'Trade fair counter, oak', price: 349, weight: 14.5 },
  { name: 'LED light box 100 × 100 cm', price: 289, weight: 9.8 },
  { name: 'Brochure A4, 16 pages (250 pcs)', price: 418, weight: 18.7 },
  { name: 'Business cards, 350 g (500 pcs)', price: 42, weight: 1.1 },
  { name: 'Poster A2, satin (50 pcs)', price: 96, weight: 2.4 },
  { name: 'Notebook A5, dotted', price: 8.4, weight: 0.31 },
  { name: 'Ballpoint pen, recycled (100 pcs)', price: 64, weight: 1.2 },
  { name: 'Tote bag, organic cotton', price: 4.2, weight: 0.12 },
  { name: 'Water bottle, steel, 500 ml', price: 14.9, weight: 0.28 },
  { name: 'Power bank 10,000 mAh', price: 24.5, weight: 0.22 },
  { name: 'Umbrella, windproof', price: 19.8, weight: 0.45 },
  { name: 'Lanyard with safety clip (100 pcs)', price: 88, weight: 1.9 },
  { name: 'T-shirt, unisex, size M', price: 9.6, weight: 0.16 },
  { name: 'Table tent card (200 pcs)', price: 72, weight: 1.6 },
  { name: 'Envelope C5, window (1,000 pcs)', price: 58, weight: 5.4 },
  { name: 'Gift box, birch wood', price: 12.3, weight: 0.38 },
] as const;

const topics = [
  'spring campaign',
  'autumn campaign',
  'trade fair stand',
  'annual report',
  'product launch',
  'loyalty programme',
  'website relaunch',
  'framework agreement',
  'customer event',
  'sponsorship',
];

/** Subjects and a body. `fill` replaces `{…}` in these and the following texts. */
const emails = [
  [
    ['Your quote for {product}', 'Re: Your quote for {product}'],
    'thank you for the call this morning. As discussed, here is our offer for {product}. It is valid for 30 days.',
  ],
  [
    ['Order {number} is on its way', 'Re: Delivery of order {number}'],
    'your order {number} left our warehouse today. You can expect it within three working days.',
  ],
  [
    ['Order confirmation {number}'],
    'thank you for your order {number}. We start production as soon as you have approved the proofs.',
  ],
  [
    ['Proofs for your approval: {topic}', 'Re: Proofs for the {topic}'],
    'the proofs for the {topic} are ready. Could you approve them by Thursday?',
  ],
  [
    ['Meeting about the {topic}', 'Re: {topic}: next steps'],
    'we moved the meeting about the {topic} to next week. Does Tuesday at 10:00 suit you?',
  ],
  [
    ['Reminder: invoice {number} is due', 'Invoice {number}'],
    'according to our books, invoice {number} is still open. Please let us know if anything is unclear.',
  ],
  [
    ['Thank you for visiting our stand', 'Good to meet you at the fair'],
    'it was a pleasure to show you the {product} at the fair. Shall we send a sample to {company}?',
  ],
  [
    ['Fwd: Question about {product}', 'Samples of {product}'],
    'we have the {product} in stock again. A sample goes out to {company} today.',
  ],
] as const;

const tasks = [
  'Call {first} about the {topic}',
  'Send quote for {product}',
  'Prepare the renewal with {company}',
  'Follow up on the trade fair visit of {first}',
  'Check the stock of {product}',
  'Update the billing address of {company}',
  'Book a meeting about the {topic}',
  'Review the proofs for the {topic}',
  'Confirm delivery date of order {number}',
  'Introduce the new account manager to {first}',
];

/** What leads want, with the lead source that the text implies. */
const enquiries: { text: string; source?: number }[] = [
  { text: 'Interested in {product}' },
  { text: 'Request for a quote: {product}' },
  { text: 'Wants a demo for the {topic}' },
  { text: 'Looking for a supplier for the {topic}' },
  { text: 'Contact form: {topic}', source: 8 },
  { text: 'Downloaded the price list', source: 8 },
  { text: 'Met at a trade fair, asked for {product}', source: 7 },
];

const notes = [
  'Key customer for the {topic}. Prefers e-mail over phone.',
  'Wants deliveries before 9 a.m.; the loading dock is behind the building.',
  'Negotiated a 5 % discount on {product}.',
  'Long-standing customer, pays on time.',
  'New purchasing process since January: every order needs a PO number.',
  'Asked for a sustainable alternative to {product}.',
  'Met at the fair in spring. Plans a new {topic} next year.',
  'Two locations; all invoices for {company} go to the head office.',
  'Budget for the {topic} is approved, decision expected this quarter.',
  'Was with a competitor until last year — quality of the prints was the reason to change.',
  'Called twice: "no decision before the summer". Try again in September.',
  'Wants one invoice per month.',
  'Interested in {product}, but finds the price too high.',
];

interface About {
  person: { first: string };
  company: { name: string };
}

/** Names of products without details. */
const productNames = products.map(({ name }) => name.replace(/, .*| \(.*/, ''));

/** Replaces `{first}`, `{company}`, `{product}`, `{topic}` and `{number}` in a text. */
function fill(text: string, random: Random, first: string, company: string): string {
  if (!text.includes('{')) return text;
  return text
    .replaceAll('{first}', first)
    .replaceAll('{company}', company)
    .replaceAll('{product}', random.pick(productNames))
    .replaceAll('{topic}', random.pick(topics))
    .replaceAll('{number}', `2${random.digits(5)}`);
}

export function someEmail(random: Random, { person, company }: About): { subject: string; body: string } {
  const [subjects, body] = random.pick(emails);
  const greeting = random.pick(['Hello', 'Dear', 'Hi', 'Good morning']);
  const whole = `${random.pick<string>(subjects)}\n${greeting} {first},\r\n\r\n${body}\r\n\r\nBest regards`;
  const [subject = '', ...lines] = fill(whole, random, person.first, company.name).split('\n');
  return { subject, body: lines.join('\n') };
}

export function someTask(random: Random, { person, company }: About): string {
  return fill(random.pick(tasks), random, person.first, company.name);
}

export function someEnquiry(random: Random): { subject: string; source: number | undefined } {
  const { text, source } = random.pick(enquiries);
  return { subject: fill(text, random, '', ''), source };
}

/** One to three notes about a customer. */
export function someNote(random: Random, company = 'the company'): string {
  const first = random.below(notes.length);
  const count = 1 + random.below(3);
  return Array.from({ length: count }, (_, at) =>
    fill(notes[(first + 4 * at) % notes.length]!, random, '', company),
  ).join(' ');
}

/** Values of text columns whose names say nothing. */
export const labels = [
  'Standard',
  'Express',
  'Approved',
  'In review',
  'On hold',
  'Priority',
  'Regional office',
  'Head office',
  'North',
  'South',
  'Spring',
  'Autumn',
  'Renewal',
  'First contact',
  'Framework agreement',
  'Pilot',
  'Partner',
  'Retail',
  'Online',
  'Print',
];

/** A name for a row of an unknown table: `Trade fair stand 1007`. */
export function someName(random: Random, number: number): string {
  const topic = random.pick(topics);
  return `${topic.charAt(0).toUpperCase()}${topic.slice(1)} ${number}`;
}

import { columns, lookupColumn } from '../../metadata/model-builder.ts';
import { day } from '../../rows/moments.ts';
import { someImage } from '../images.ts';
import type { Language } from '../words/languages.ts';
import { owned, type SampleTable } from './common-columns.ts';

const surveys = ['Customer satisfaction', 'Delivery', 'Trade fair visit', 'Print quality', 'Onboarding'];
const months = [
  ...['January', 'February', 'March', 'April', 'May', 'June'],
  ...['July', 'August', 'September', 'October', 'November', 'December'],
];
const tags = ['delivery', 'price', 'print quality', 'support', 'website', 'packaging', 'colour match'];

/** Comments with the range of satisfaction that they fit, from 0 to 1, and their language. */
const comments: { from: number; to: number; text: string; language?: Language }[] = [
  { from: 0, to: 0.45, text: 'Delivery was two days late and nobody called us.' },
  { from: 0, to: 0.45, text: 'The colours of the banner did not match the proof. 😕' },
  { from: 0, to: 0.5, text: 'Invoice was wrong "again" — please check our address.' },
  { from: 0.3, to: 0.7, text: 'Ok, but the website is slow.' },
  { from: 0.4, to: 0.8, text: 'Good quality, a bit expensive.' },
  { from: 0.4, to: 0.8, text: 'Prix correct, délai un peu long.', language: 'fr' },
  { from: 0.65, to: 1, text: 'Really friendly support – thank you, Søren!' },
  { from: 0.65, to: 1, text: 'Best print quality we have had so far 👍' },
  { from: 0.65, to: 1, text: 'Everything arrived on time.\r\nThe roll-ups look great at our stand!' },
  { from: 0.65, to: 1, text: 'Alles bestens, gerne wieder.', language: 'de' },
  { from: 0.65, to: 1, text: 'Hurtig levering, tak!', language: 'da' },
  { from: 0.65, to: 1, text: 'Muy buena atención, ¡gracias!', language: 'es' },
  { from: 0.65, to: 1, text: 'とても満足しています。', language: 'ja' },
];

export const surveyResponse: SampleTable = {
  spec: {
    name: 'new_surveyresponse',
    set: 'new_surveyresponsecollection',
    displayName: 'Survey response',
    primaryName: 'new_name',
    columns: [
      ...columns({
        new_surveyresponseid: 'id',
        new_name: 'text',
        new_comment: 'memo',
        new_tags: 'strings',
        new_scores: 'ints',
        new_signature: 'binary',
        new_startsat: 'time',
      }),
      ...owned(),
      lookupColumn('new_contact', [['contact', 'new_Contact']]),
    ],
    weight: 0.02,
  },
  rows: (business) => (index, random) => {
    const created = business.timeline('new_surveyresponse')[index]!;
    const contact = random.chance(0.1) ? undefined : business.contactAt(created, random);
    // Scores and comment follow the mood, which is mostly good.
    const mood = 1 - random.fraction() ** 2;
    const score = () => Math.min(10, Math.max(1, Math.round(10 * mood + random.normal())));
    const scores = Array.from({ length: 3 }, score);
    const spoken = contact === undefined ? 'en' : business.contacts[contact]!.company.place.country.language;
    const fitting = comments.filter(
      ({ from, to, language = spoken }) => mood >= from && mood <= to && language === spoken,
    );
    const date = new Date(created);
    const when = `${months[date.getUTCMonth()]} ${date.getUTCFullYear()}`;
    return {
      ...business.stamps(created, random),
      new_name: `${random.pick(surveys)}, ${when}`,
      new_comment: random.chance(0.35) ? null : random.pick(fitting).text,
      new_tags: { json: tags.filter(() => random.chance(0.22)) },
      new_scores: { json: scores },
      new_signature: random.chance(0.6) ? null : someImage(random),
      new_startsat: new Date(created % day).toISOString().slice(11, 19),
      statecode: 0,
      statuscode: 1,
      _new_contact_value: business.lookup('contact', contact),
    };
  },
};

import type { Column } from '../metadata/model.ts';
import { someImage } from '../sample-data/images.ts';
import { type Company, someCompany, streetAddress } from '../sample-data/words/companies.ts';
import { type Person, somePerson } from '../sample-data/words/people.ts';
import { phoneNumber, postalCode } from '../sample-data/words/places.ts';
import { labels, someEmail, someName, someNote } from '../sample-data/words/texts.ts';
import { cut } from './hostile-value.ts';
import { day } from './moments.ts';
import type { Random } from './random.ts';
import type { Value } from './values.ts';

/** What the values of one row have in common: its times, and a person and a company, made on demand. */
export class RowSubject {
  readonly random: Random;
  readonly index: number;
  readonly created: number;
  readonly modified: number;
  #company: Company | undefined;
  #person: Person | undefined;

  constructor(random: Random, index: number, created: number, modified: number) {
    this.random = random;
    this.index = index;
    this.created = created;
    this.modified = modified;
  }

  get company(): Company {
    this.#company ??= someCompany(this.random);
    return this.#company;
  }

  get person(): Person {
    this.#person ??= somePerson(this.company.place.country.language, this.random);
    return this.#person;
  }
}

/** Makes a value, in the form described for `GeneratedValues`. */
export type MakeValue = (row: RowSubject) => Value;

/** Returns a function that makes values from the type and name of a column. One in eight is null. */
export function valueMaker(column: Column): MakeValue {
  const make = makerFor(column);
  const isRequired = /(^|_)(full|last)?name$/.test(column.name) || column.choice?.kind === 'status';
  return isRequired ? make : (row) => (row.random.chance(0.12) ? null : make(row));
}

function makerFor(column: Column): MakeValue {
  const { name, choice } = column;
  if (choice !== undefined && choice.kind !== 'boolean') return choiceMaker(choice.kind, choice.options);
  if (column.type.startsWith('Collection(')) return collectionMaker(column.type);
  switch (column.type) {
    case 'Edm.String': {
      const make = textMaker(name, column.maxLength ?? 100);
      const limit = column.maxLength ?? 100;
      return (row) => cut(make(row), limit);
    }
    case 'Edm.Guid':
      return column.file ? () => null : ({ random }) => (random.chance(0.5) ? null : random.guid());
    case 'Edm.Boolean': {
      const share = /^(is(disabled|private|deleted)|donot)|hold$/.test(name) ? 0.05 : 0.35;
      return ({ random }) => random.chance(share);
    }
    case 'Edm.Int16':
      return ({ random }) => random.below(400);
    case 'Edm.Byte':
      return ({ random }) => random.below(100);
    case 'Edm.Int32':
      return integerMaker(name);
    case 'Edm.Int64':
      return ({ random }) => Math.round(1000 * Math.exp(9 + 2 * random.normal()));
    case 'Edm.Decimal':
      return decimalMaker(name, column.precision ?? 20, column.scale ?? 4);
    case 'Edm.Double':
    case 'Edm.Single':
      return doubleMaker(name);
    case 'Edm.Date':
      return /birth/.test(name)
        ? ({ random, modified }) => modified - day * 365.25 * (20 + 45 * random.fraction())
        : momentMaker(name);
    case 'Edm.DateTimeOffset':
      return momentMaker(name);
    case 'Edm.TimeOfDay':
      return ({ random }) => `${random.between(10, 17)}:${random.pick(['00', '15', '30', '45'])}:00`;
    case 'Edm.Duration':
      return ({ random }) => `PT${random.below(8)}H${15 * random.below(4)}M`;
    case 'Edm.Binary':
      return ({ random }) => someImage(random);
    case 'mscrm.BooleanManagedProperty':
      return ({ random }) => ({
        json: { Value: random.chance(0.5), CanBeChanged: true, ManagedPropertyLogicalName: name },
      });
    default:
      return () => null;
  }
}

/** Picks options, the first ones most often. */
function choiceMaker(kind: string, options: readonly { value: number }[]): MakeValue {
  if (kind !== 'multichoice')
    return ({ random }) => options[Math.floor(options.length * random.fraction() ** 1.8)]!.value;
  return ({ random }) =>
    options
      .filter(() => random.chance(0.4))
      .map(({ value }) => value)
      .join(',') || null;
}

function collectionMaker(type: string): MakeValue {
  return ({ random }) => ({
    json: Array.from({ length: random.below(4) }, () => {
      if (type.includes('Edm.Int32')) return random.below(11);
      return type.includes('Edm.Guid') ? random.guid() : random.pick(labels);
    }),
  });
}

const textsByName: [name: RegExp, make: (row: RowSubject) => string][] = [
  [/email/, ({ person, company }) => `${person.mailbox}@${company.domain}`],
  [/phone|mobile|fax|pager/, ({ company, random }) => phoneNumber(company.place, random)],
  [/url|website/, ({ company }) => `https://www.${company.domain}`],
  [/firstname/, ({ person }) => person.first],
  [/lastname/, ({ person }) => person.last],
  [/fullname|yominame|contactname/, ({ person }) => person.full],
  [/company|accountname|organi[sz]ation(name)?$/, ({ company }) => company.name],
  [/jobtitle|department/, ({ person }) => person.jobTitle],
  [/postalcode|zipcode/, ({ company, random }) => postalCode(company.place, random)],
  [/(city|town)$/, ({ company }) => company.place.city.name],
  [/stateorprovince|county|region$/, ({ company }) => company.place.city.state ?? company.place.city.name],
  [/country/, ({ company }) => company.place.country.name],
  [/address.*(line1|composite)|street/, ({ company, random }) => streetAddress(company.place, random)],
  [/currency(iso)?code|isocurrency/, ({ company }) => company.place.country.currency],
  [/currencysymbol/, () => '€'],
  [/subject|title$/, ({ random, person, company }) => someEmail(random, { person, company }).subject],
  [/number|code$|reference|token|_no$/, ({ random }) => random.pattern('@@-######')],
];

function textMaker(name: string, limit: number): (row: RowSubject) => string {
  const known = textsByName.find(([pattern]) => pattern.test(name))?.[1];
  if (known !== undefined) return known;
  if (/(^|_)name$/.test(name)) return ({ random, index }) => someName(random, 1001 + index);
  if (limit > 1000 || /description|comment|note|reason|remark|summary/.test(name))
    return ({ random }) => someNote(random);
  return ({ random }) => random.pick(labels);
}

function integerMaker(name: string): MakeValue {
  if (/percent|probability/.test(name)) return ({ random }) => 5 * random.below(21);
  if (/minutes|duration/.test(name)) return ({ random }) => 5 * random.between(1, 36);
  if (/employees/.test(name)) return ({ random }) => Math.round(Math.exp(3.8 + 1.4 * random.normal()));
  if (/year/.test(name))
    return ({ modified, random }) => new Date(modified).getUTCFullYear() - random.below(9);
  if (/count|numberof|quantity|code$/.test(name)) return ({ random }) => Math.round(random.exponential(6));
  return ({ random }) => Math.round(Math.exp(6 + 2 * random.normal()));
}

function decimalMaker(name: string, precision: number, scale: number): MakeValue {
  const limit = 10 ** Math.min(15, precision - scale) - 1;
  if (/exchangerate/.test(name)) return () => 1;
  if (/percent|probability|rate$/.test(name))
    return ({ random }) => Math.min(limit, random.below(10_001) / 100);
  const middle = /revenue|budget|estimated|total/.test(name) ? 11.5 : 6.5;
  return ({ random }) => Math.min(limit, Math.round(100 * Math.exp(middle + 1.3 * random.normal())) / 100);
}

function doubleMaker(name: string): MakeValue {
  if (/latitude/.test(name)) return ({ company }) => company.place.city.latitude;
  if (/longitude/.test(name)) return ({ company }) => company.place.city.longitude;
  return ({ random }) => Number((100 * Math.exp(random.normal())).toFixed(2));
}

/** Due dates are some weeks after the row's creation. Other moments are between its creation and its last change. */
function momentMaker(name: string): MakeValue {
  return /schedul|due|estimated|expir|valid|end$|until/.test(name)
    ? ({ created, random }) => created + random.between(1, 60) * day
    : ({ created, modified, random }) =>
        1000 * Math.floor((created + (modified - created) * random.fraction()) / 1000);
}

import type { Random } from '../../rows/random.ts';
import { asciiOf, type Language, type Word, words } from './languages.ts';
import { lastNames } from './people.ts';
import { type Place, somePlace } from './places.ts';

/** Values of `industrycode` with the usual revenue per employee, in thousands of euros. */
export const industries = [
  { code: 12, label: 'Durable Manufacturing', weight: 18, revenue: 210 },
  { code: 17, label: 'Food and Tobacco Processing', weight: 10, revenue: 260 },
  { code: 30, label: 'Transportation', weight: 11, revenue: 170 },
  { code: 16, label: 'Financial', weight: 7, revenue: 340 },
  { code: 7, label: 'Consulting', weight: 12, revenue: 140 },
  { code: 33, label: 'Wholesale', weight: 14, revenue: 420 },
  { code: 31, label: 'Utility Creation and Distribution', weight: 5, revenue: 480 },
  { code: 3, label: 'Broadcasting Printing and Publishing', weight: 6, revenue: 130 },
  { code: 5, label: 'Building Supply Retail', weight: 7, revenue: 230 },
  { code: 11, label: "Doctor's Offices and Clinics", weight: 5, revenue: 95 },
  { code: 20, label: 'Insurance', weight: 4, revenue: 390 },
  { code: 6, label: 'Business Services', weight: 11, revenue: 120 },
] as const;

/** Per language: a word for each industry, in the same order; then the first parts of company names. */
const vocabulary: Record<Language, [trades: string, stems: string]> = {
  cs: [
    'Strojírny, Potraviny, Doprava, Finance, Poradenství, Velkoobchod, Energie, Nakladatelství, Stavebniny, Klinika, Pojištění, Software',
    'Vltava, Morava, Bohemia, Vyšehrad, Krkonoše, Sázava',
  ],
  da: [
    'Maskinfabrik, Fødevarer, Transport, Finans, Rådgivning, Engros, Energi, Forlag, Byggemarked, Klinik, Forsikring, Data',
    'Nordhavn, Limfjord, Vestkyst, Fjordby, Storebælt, Kattegat, Skagen, Havnegade, Solbjerg, Egholm, Lindevang, Sundby, Rosenlund',
  ],
  de: [
    'Maschinenbau, Feinkost, Logistik, Finanz, Beratung, Großhandel, Energie, Verlag, Baustoffe, Kliniken, Versicherung, Software',
    'Hansa, Rheintal, Nordlicht, Elbe, Havel, Alpenblick, Schwarzwald, Isartal, Weserbergland, Lindenhof, Tannenhof, Ostsee, Spreewald, Bergmann, Rosenthal, Goldbach, Eichengrund, Neckartal',
  ],
  el: [
    'Βιομηχανική, Τρόφιμα, Μεταφορές, Χρηματοδοτική, Σύμβουλοι, Εμπορική, Ενέργεια, Εκδόσεις, Δομικά, Κλινική, Ασφαλιστική, Λογισμικό',
    'Αιγαίο/Egeo, Όλυμπος/Olympos, Ιόνιο/Ionio, Αττική/Attiki',
  ],
  en: [
    'Manufacturing, Foods, Logistics, Capital, Consulting, Wholesale, Energy, Media, Building Supply, Health, Insurance, Business Services',
    'Lakeshore, Granite Peak, Blue Harbor, Summit, Riverside, Evergreen, Ironwood, Redwood, Clearwater, Stonebridge, Oakfield, Silverline, Cedar Ridge, Kingsway, Fairview, Beacon Hill, Birchwood, Harborview, Maple Grove, Northgate, Pinecrest, Queensbury, Rockford, Sandpiper, Southbank, Thornfield, Westbrook, Whitestone, Willow Creek, Millbrook, Foxglove, Highland Park, Crestwood, Bluebell, Oldbridge, Gateway, Ashford, Copperfield, Kestrel, Langley, Meridian, Castlegate, Primrose, Juniper, Elmwood',
  ],
  es: [
    'Industrias, Alimentos, Transportes, Financiera, Consultores, Distribuciones, Energía, Editorial, Materiales, Clínica, Seguros, Sistemas',
    'Costa Brava, Ibérica, Andaluza, Levante, Sierra Nevada, Mediterráneo',
  ],
  fi: [
    'Konepaja, Elintarvike, Kuljetus, Rahoitus, Konsultointi, Tukku, Energia, Kustannus, Rakennustarvike, Terveys, Vakuutus, Ohjelmistot',
    'Saimaa, Pohjola, Aurinko, Kallio, Päijänne, Koivu',
  ],
  fr: [
    'Industries, Saveurs, Transports, Finance, Conseil, Distribution, Énergie, Éditions, Matériaux, Santé, Assurances, Services',
    'Atlantique, Lumière, Belle-Rive, Alizé, Montclair, Garonne, Bellevue, Val-de-Loire, Beaulieu, Grand-Large, Marceau, Trianon',
  ],
  hi: [
    'Engineering, Foods, Logistics, Finance, Advisory, Traders, Power, Publications, Buildmart, Healthcare, Assurance, Infotech',
    'Deccan, Ganga, Sahyadri, Lotus, Himgiri, Konkan',
  ],
  it: [
    'Meccanica, Alimentari, Trasporti, Finanziaria, Consulenza, Ingrosso, Energia, Edizioni, Edilizia, Clinica, Assicurazioni, Servizi',
    'Adriatica, Alpina, Lombarda, Aurora, Padana, Tirrenica',
  ],
  ja: [
    '製作所, 食品, 運輸, キャピタル, コンサルティング, 商事, エネルギー, 出版, 建材, メディカル, 保険, システム',
    '富士見/Fujimi, 東和/Towa, 桜台/Sakuradai, 日進/Nisshin, 瑞穂野/Mizuhono',
  ],
  nl: [
    'Machinebouw, Voeding, Transport, Vermogen, Advies, Groothandel, Energie, Uitgeverij, Bouwmaterialen, Zorg, Verzekeringen, Diensten',
    'Delta, Maas, Zuiderzee, Oranje, Waddenzee, Kempen, Scheldestroom',
  ],
  no: [
    'Mekaniske, Sjømat, Frakt, Finans, Rådgivning, Engros, Kraft, Forlag, Byggevare, Klinikk, Forsikring, Data',
    'Fjell, Nordlys, Kyst, Hardanger, Polar, Vestland, Tindvik',
  ],
  pl: [
    'Maszyny, Spożywcze, Spedycja, Finanse, Doradztwo, Hurt, Energia, Wydawnictwo, Budownictwo, Zdrowie, Ubezpieczenia, Usługi',
    'Wisła, Bałtyk, Tatry, Mazowsze, Karpacz, Bursztyn',
  ],
  pt: [
    'Indústria, Alimentos, Transportes, Financeira, Consultoria, Distribuição, Energia, Editora, Materiais, Saúde, Seguros, Serviços',
    'Atlântico, Lusitana, Serra Azul, Tejo, Douro, Ribeira',
  ],
  sv: [
    'Mekaniska, Livsmedel, Åkeri, Finans, Konsult, Grossist, Energi, Förlag, Byggvaror, Vård, Försäkring, Data',
    'Mälardalen, Norrsken, Västkust, Vänern, Skärgård, Fjällnäs',
  ],
  tr: [
    'Makine, Gıda, Lojistik, Finans, Danışmanlık, Toptan, Enerji, Yayıncılık, Yapı, Sağlık, Sigorta, Yazılım',
    'Boğaziçi, Anadolu, Ege, Toros, Marmara, Kapadokya',
  ],
  uk: [
    'Машинобудування, Продукти, Логістика, Фінанс, Консалтинг, Гурт, Енерго, Видавництво, Буд, Медицина, Страхування, Софт',
    'Дніпро/Dnipro, Карпати/Karpaty, Полісся/Polissia, Черемош/Cheremosh',
  ],
};

/** Patterns of names, if they are not stem, trade and legal form. */
const patterns: Partial<Record<Language, string[]>> = {
  es: ['{trade} {stem} {form}'],
  fr: ['{stem} {trade} {form}', '{trade} {stem} {form}'],
  it: ['{stem} {trade} {form}', '{trade} {stem} {form}'],
  ja: ['{stem}{trade}株式会社', '株式会社{stem}{trade}'],
  uk: ['ТОВ «{stem} {trade}»'],
};
const usualPattern = ['{stem} {trade} {form}'];

const englishTrades = words(vocabulary.en[0]);
const read = Object.fromEntries(
  (Object.keys(vocabulary) as Language[]).map((language) => {
    const [trades, stems] = vocabulary[language];
    return [language, { trades: words(trades), stems: [...words(stems), ...lastNames(language)] }];
  }),
) as Record<Language, { trades: Word[]; stems: Word[] }>;

export interface Company {
  name: string;
  /** In `.example`, which is reserved (RFC 2606). */
  domain: string;
  industry: (typeof industries)[number];
  place: Place;
}

/** A company. With `taken`, its name and domain are unique and are added to the set. */
export function someCompany(random: Random, taken?: Set<string>): Company {
  const place = somePlace(random);
  const { language, legalForms } = place.country;
  const { trades, stems } = read[language];
  for (let attempt = 0; ; attempt++) {
    const industry = random.weighted(industries);
    const at = industries.indexOf(industry);
    const stem = attempt < 3 || language === 'ja' ? random.pick(stems) : twoPartners(language, random);
    // A large sample runs out of names. Then the city is added, and a number if that is not enough.
    const suffix = attempt < 6 ? '' : attempt < 12 ? place.city.name : `${place.city.name} ${attempt}`;
    const trade = [trades[at]!.text, suffix].filter(Boolean).join(language === 'ja' ? '' : ' ');
    const name = random
      .pick(patterns[language] ?? usualPattern)
      .replace('{stem}', stem.text)
      .replace('{trade}', trade)
      .replace('{form}', random.pick(legalForms));
    const slug = [stem.ascii, trades[at]!.ascii || englishTrades[at]!.ascii, asciiOf(suffix)];
    const domain = `${slug.filter(Boolean).join('-')}.example`;
    if (taken !== undefined) {
      if (taken.has(name) || taken.has(domain)) continue;
      taken.add(name).add(domain);
    }
    return { name, domain, industry, place };
  }
}

/** `Carter & Hughes` */
function twoPartners(language: Language, random: Random): Word {
  const names = lastNames(language);
  const first = random.below(names.length);
  const one = names[first]!;
  const two = names[(first + random.between(1, names.length - 1)) % names.length]!;
  return { text: `${one.text} & ${two.text}`, ascii: `${one.ascii}-${two.ascii}` };
}

/** `#` is the house number. */
const streets: Record<Language, string[]> = {
  cs: ['Nádražní #', 'Husova #', 'Masarykova #'],
  da: ['Havnegade #', 'Industrivej #', 'Strandvejen #', 'Nørregade #'],
  de: ['Hauptstraße #', 'Industriestraße #', 'Bahnhofstraße #', 'Am Stadtpark #'],
  en: ['# Main Street', '# Station Road', '# Commerce Drive', '# Harbour Way'],
  es: ['Calle Mayor #', 'Avenida de la Industria #', 'Calle del Sol #'],
  fi: ['Teollisuuskatu #', 'Satamatie #', 'Asemakatu #'],
  fr: ['# rue de la République', '# avenue des Tilleuls', '# quai du Port'],
  hi: ['# MG Road', 'Plot #, Industrial Estate'],
  it: ['Via Roma #', 'Via Garibaldi #', 'Corso Italia #'],
  nl: ['Stationsplein #', 'Havenstraat #', 'Industrieweg #'],
  no: ['Storgata #', 'Havnegata #', 'Industriveien #'],
  pl: ['ul. Przemysłowa #', 'ul. Dworcowa #', 'ul. Polna #'],
  pt: ['Rua do Comércio #', 'Avenida da Liberdade #', 'Rua das Flores #'],
  sv: ['Storgatan #', 'Hamngatan #', 'Industrigatan #'],
  tr: ['Atatürk Caddesi No: #', 'Sanayi Sokak No: #'],
  uk: ['вул. Шевченка, #', 'вул. Садова, #'],
  el: ['Ερμού #', 'Λεωφόρος Συγγρού #'],
  ja: ['千代田#-7-3', '中央#-2-11'],
};

export function streetAddress({ country }: Place, random: Random): string {
  return random
    .pick(streets[country.language])
    .replace('#', String(1 + Math.floor(160 * random.fraction() ** 2)));
}

import type { Random } from '../../rows/random.ts';
import type { Language } from './languages.ts';

/** A city. In patterns, `#` is a digit and `@` a capital letter. */
export interface City {
  name: string;
  /** State or province, if addresses of the country have one. */
  state: string | undefined;
  postalCode: string;
  /** The national part of a telephone number. */
  phone: string;
  latitude: number;
  longitude: number;
}

export interface Country {
  name: string;
  callingCode: string;
  /** ISO 4217. */
  currency: string;
  language: Language;
  /** The standard rate of value added tax, from 0 to 1. */
  vat: number;
  /** The share of companies, in relation to the other countries. */
  weight: number;
  /** Suffixes of company names. */
  legalForms: string[];
  cities: City[];
}

export interface Place {
  country: Country;
  city: City;
}

/**
 * name, calling code, currency, language, VAT, weight, legal forms: city, state, postal code, phone, latitude, longitude; …
 * Telephone numbers are those that regulators reserve for fiction, if there are any (Ofcom, Bundesnetzagentur,
 * ARCEP, PTS, ACMA, 555 in North America).
 */
const list = `
United States,1,USD,en,0,22,Inc.|LLC|Corp.: New York,NY,100##,212 555 01##,40.71,-74.01; Chicago,IL,606##,312 555 01##,41.88,-87.63;\
 Austin,TX,787##,512 555 01##,30.27,-97.74; Seattle,WA,981##,206 555 01##,47.61,-122.33;\
 Boston,MA,021##,617 555 01##,42.36,-71.06; Denver,CO,802##,303 555 01##,39.74,-104.99;\
 Atlanta,GA,303##,404 555 01##,33.75,-84.39; Columbus,OH,432##,614 555 01##,39.96,-83.0
Canada,1,CAD,en,0.05,4,Inc.|Ltd.: Toronto,ON,M5V #@#,416 555 01##,43.65,-79.38; Montréal,QC,H3B #@#,514 555 01##,45.5,-73.57;\
 Vancouver,BC,V6B #@#,604 555 01##,49.28,-123.12
United Kingdom,44,GBP,en,0.2,11,Ltd|plc|Group Ltd: London,,EC#A #@@,20 7946 0###,51.51,-0.13; Manchester,,M# #@@,161 496 0###,53.48,-2.24;\
 Leeds,,LS# #@@,113 496 0###,53.8,-1.55; Edinburgh,,EH# #@@,131 496 0###,55.95,-3.19;\
 Bristol,,BS# #@@,117 496 0###,51.45,-2.59
Ireland,353,EUR,en,0.23,2,Ltd|DAC: Dublin,,D0# @#@#,1 555 0###,53.35,-6.26; Cork,,T12 @#@#,21 555 0###,51.9,-8.47
Australia,61,AUD,en,0.1,3,Pty Ltd: Sydney,NSW,20##,2 5550 ####,-33.87,151.21; Melbourne,VIC,30##,3 5550 ####,-37.81,144.96;\
 Brisbane,QLD,40##,7 5550 ####,-27.47,153.03
India,91,INR,hi,0.18,3,Pvt. Ltd.|Ltd.: Mumbai,MH,4000##,22 5550 ####,19.08,72.88; Bengaluru,KA,5600##,80 5550 ####,12.97,77.59;\
 Pune,MH,4110##,20 5550 ####,18.52,73.86
Germany,49,EUR,de,0.19,14,GmbH|AG|GmbH & Co. KG: Berlin,,10###,30 23125 ###,52.52,13.4; Hamburg,,20###,40 66969 ###,53.55,9.99;\
 München,,80###,89 99998 ###,48.14,11.58; Köln,,50###,221 4710 ###,50.94,6.96;\
 Frankfurt am Main,,60###,69 90009 ###,50.11,8.68; Leipzig,,04###,341 5550 ###,51.34,12.37
Austria,43,EUR,de,0.2,3,GmbH|AG: Wien,,1##0,1 5550 ###,48.21,16.37; Graz,,801#,316 5550 ##,47.07,15.44; Linz,,402#,732 5550 ##,48.31,14.29
Switzerland,41,CHF,de,0.081,3,AG|GmbH: Zürich,,80##,44 555 0# ##,47.38,8.54; Basel,,40##,61 555 0# ##,47.56,7.59; Bern,,30##,31 555 0# ##,46.95,7.45
Denmark,45,DKK,da,0.25,9,A/S|ApS: København,,1###,33 55 0# ##,55.68,12.57; Aarhus,,8000,86 55 0# ##,56.16,10.2;\
 Odense,,5000,65 55 0# ##,55.4,10.39; Aalborg,,9000,98 55 0# ##,57.05,9.92
Sweden,46,SEK,sv,0.25,6,AB: Stockholm,,11# ##,8 465 004 ##,59.33,18.07; Göteborg,,41# ##,31 390 06 ##,57.71,11.97; Malmö,,21# ##,40 628 04 ##,55.6,13.0
Norway,47,NOK,no,0.25,5,AS|ASA: Oslo,,01##,22 55 0# ##,59.91,10.75; Bergen,,50##,55 55 0# ##,60.39,5.32; Trondheim,,70##,73 55 0# ##,63.43,10.4
Finland,358,EUR,fi,0.255,3,Oy: Helsinki,,001##,9 5550 ###,60.17,24.94; Tampere,,331##,3 5550 ###,61.5,23.76
Netherlands,31,EUR,nl,0.21,6,B.V.|N.V.: Amsterdam,,10## @@,20 555 0###,52.37,4.9; Rotterdam,,30## @@,10 555 0###,51.92,4.48; Utrecht,,35## @@,30 555 0###,52.09,5.12
Belgium,32,EUR,nl,0.21,2,BV|NV: Antwerpen,,20##,3 555 0# ##,51.22,4.4; Gent,,90##,9 555 0# ##,51.05,3.72
France,33,EUR,fr,0.2,8,SAS|SARL|& Fils: Paris,,750##,1 99 00 ## ##,48.86,2.35; Lyon,,6900#,4 65 71 ## ##,45.76,4.84;\
 Toulouse,,31000,5 36 49 ## ##,43.6,1.44; Nantes,,44000,2 61 91 ## ##,47.22,-1.55; Lille,,59000,3 53 01 ## ##,50.63,3.06
Spain,34,EUR,es,0.21,5,S.L.|S.A.: Madrid,,280##,91 555 0# ##,40.42,-3.7; Barcelona,,080##,93 555 0# ##,41.39,2.17; Valencia,,460##,96 555 0# ##,39.47,-0.38
Italy,39,EUR,it,0.22,5,S.p.A.|S.r.l.: Milano,,201##,02 5550 ####,45.46,9.19; Torino,,101##,011 5550 ###,45.07,7.69; Bologna,,401##,051 5550 ###,44.49,11.34
Portugal,351,EUR,pt,0.23,2,Lda.|S.A.: Lisboa,,1###-###,21 555 0###,38.72,-9.14; Porto,,4###-###,22 555 0###,41.15,-8.61
Brazil,55,BRL,pt,0.17,2,Ltda.|S.A.: São Paulo,SP,01###-###,11 5555 0###,-23.55,-46.63; Curitiba,PR,80###-###,41 5555 0###,-25.43,-49.27
Poland,48,PLN,pl,0.23,4,Sp. z o.o.|S.A.: Warszawa,,00-###,22 555 0# ##,52.23,21.01; Kraków,,30-###,12 555 0# ##,50.06,19.94; Gdańsk,,80-###,58 555 0# ##,54.35,18.65
Czechia,420,CZK,cs,0.21,2,s.r.o.|a.s.: Praha,,11# 00,2 5550 ####,50.08,14.44; Brno,,60# 00,5 5550 ####,49.2,16.61
Greece,30,EUR,el,0.24,1,ΑΕ: Αθήνα,,10# ##,21 5550 ####,37.98,23.73; Θεσσαλονίκη,,54# ##,231 555 0###,40.64,22.94
Türkiye,90,TRY,tr,0.2,2,A.Ş.|Ltd. Şti.: İstanbul,,34###,212 555 0# ##,41.01,28.98; İzmir,,35###,232 555 0# ##,38.42,27.14
Ukraine,380,UAH,uk,0.2,1,: Київ,,01###,44 555 0# ##,50.45,30.52; Львів,,79###,32 555 0# ##,49.84,24.03
Japan,81,JPY,ja,0.1,3,: 東京,,10#-00##,3 5550 ####,35.68,139.69; 大阪,,53#-00##,6 5550 ####,34.69,135.5`;

export const countries: Country[] = list
  .trim()
  .split('\n')
  .map((line) => {
    const [facts = '', cities = ''] = line.split(': ');
    const [name = '', callingCode = '', currency = '', language, vat, weight, forms = ''] = facts.split(',');
    return {
      name,
      callingCode,
      currency,
      language: language as Language,
      vat: Number(vat),
      weight: Number(weight),
      legalForms: forms.split('|'),
      cities: cities.split(';').map(readCity),
    };
  });

function readCity(text: string): City {
  const [name = '', state, postalCode = '', phone = '', latitude, longitude] = text.trim().split(',');
  return {
    name,
    state: state || undefined,
    postalCode,
    phone,
    latitude: Number(latitude),
    longitude: Number(longitude),
  };
}

/** A city. The first one of a country is the most frequent. */
export function somePlace(random: Random): Place {
  const country = random.weighted(countries);
  const { cities } = country;
  return { country, city: random.chance(0.25) ? cities[0]! : random.pick(cities) };
}

export function postalCode({ city }: Place, random: Random): string {
  return random.pattern(city.postalCode);
}

export function phoneNumber({ country, city }: Place, random: Random): string {
  return `+${country.callingCode} ${random.pattern(city.phone)}`;
}

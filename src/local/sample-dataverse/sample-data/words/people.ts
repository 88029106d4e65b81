import type { Random } from '../../rows/random.ts';
import { type Language, type Word, words } from './languages.ts';

/** First names, then last names. The last names do not depend on gender. */
const names: Record<Language, [string, string]> = {
  cs: [
    'Jan, Tereza, Petr, Lucie, Tomáš, Eliška, Ondřej, Kateřina, Jakub, Veronika, Martin, Hana, Jiří, Adéla, Marek',
    'Krejčí, Martinů, Jirků, Petrů, Dolejší, Hořejší, Janků, Matějů, Pavlů, Kolářů',
  ],
  da: [
    'Anne, Lars, Mette, Søren, Kirsten, Jens, Freja, Mikkel, Ida, Rasmus, Louise, Anders, Camilla, Jørgen, Maja, Emil, Signe, Kasper',
    'Nielsen, Jensen, Hansen, Pedersen, Andersen, Christensen, Larsen, Sørensen, Rasmussen, Madsen, Kristensen, Østergaard, Bruun, Lund, Møller, Kjær, Dahl, Holm',
  ],
  de: [
    'Anna, Thomas, Julia, Michael, Katrin, Stefan, Lena, Jürgen, Sabine, Lukas, Jörg, Miriam, Felix, Sophie, Matthias, Franziska, Tobias, Ute, Moritz, Birgit',
    'Müller, Schmidt, Schneider, Fischer, Weber, Wagner, Becker, Hoffmann, Schäfer, Koch, Bauer, Richter, Klein, Wolf, Schröder, Neumann, Brandt, Krüger, Hofmann, Keller, Lorenz, Voß, Winkler, Sauer',
  ],
  el: [
    'Ελένη/Eleni, Γιώργος/Giorgos, Μαρία/Maria, Νίκος/Nikos, Κατερίνα/Katerina, Δημήτρης/Dimitris, Σοφία/Sofia, Κώστας/Kostas',
    'Ιωάννου/Ioannou, Νικολάου/Nikolaou, Γεωργίου/Georgiou, Δημητρίου/Dimitriou, Αντωνίου/Antoniou, Βασιλείου/Vasileiou',
  ],
  en: [
    'James, Emily, Robert, Sarah, Michael, Olivia, David, Grace, Daniel, Hannah, Christopher, Megan, Andrew, Rachel, Kevin, Natalie, Brian, Chloe, Patrick, Amelia, Marcus, Denise, Gareth, Fiona',
    "Smith, Johnson, Williams, Brown, Taylor, Davies, Wilson, Evans, Thomas, Walker, O'Hara, Clarke, Wright, Mitchell, Carter, Phillips, Turner, Parker, Morris, Murphy, O'Brien, Bennett, Foster, Hughes, Reed, Coleman, Sullivan, McKenzie",
  ],
  es: [
    'María, José, Carmen, Javier, Lucía, Antonio, Elena, Miguel, Sofía, Álvaro, Marta, Pablo, Núria, Sergio, Inés, Íñigo',
    'García, Fernández, González, Rodríguez, López, Martínez, Sánchez, Pérez, Gómez, Muñoz, Álvarez, Romero, de la Cruz, Ibáñez, Serrano, Núñez',
  ],
  fi: [
    'Aino, Juhani, Helmi, Mikko, Päivi, Antti, Sanna, Jukka, Elina, Ville, Riikka, Olli',
    'Korhonen, Virtanen, Mäkinen, Nieminen, Mäkelä, Hämäläinen, Laine, Heikkinen, Koskinen, Järvinen, Lehtonen, Väisänen',
  ],
  fr: [
    'Marie, Pierre, Camille, Jean-Luc, Zoé, Antoine, Élodie, Nicolas, Chloé, François, Amélie, Julien, Hélène, Mathieu, Inès, Benoît, Margaux, Thierry',
    'Martin, Bernard, Dubois, Moreau, Laurent, Lefèvre, Michel, Girard, Bonnet, Dupont, Lambert, Fontaine, Rousseau, Faure, Chevalier, Mercier, Gauthier, Perrin, Lemaître',
  ],
  hi: [
    'Priya, Rahul, Ananya, Arjun, Kavita, Vikram, Neha, Sanjay, Meera, Rohan, Divya, Aditya',
    'Sharma, Patel, Iyer, Gupta, Nair, Reddy, Mehta, Rao, Joshi, Kulkarni, Menon, Kapoor',
  ],
  it: [
    'Giulia, Marco, Francesca, Luca, Chiara, Alessandro, Elena, Matteo, Sara, Davide, Martina, Niccolò, Paola, Giorgio',
    "Rossi, Russo, Ferrari, Esposito, Bianchi, Romano, Colombo, Ricci, Marino, Greco, Conti, De Luca, Gallo, D'Angelo, Fontana",
  ],
  ja: [
    '美咲/Misaki, 健太/Kenta, 陽子/Yoko, 大輔/Daisuke, 由美/Yumi, 拓也/Takuya, 恵/Megumi, 誠/Makoto, 直樹/Naoki, 彩/Aya',
    '山田/Yamada, 佐藤/Sato, 鈴木/Suzuki, 高橋/Takahashi, 田中/Tanaka, 渡辺/Watanabe, 伊藤/Ito, 中村/Nakamura, 小林/Kobayashi, 松本/Matsumoto',
  ],
  nl: [
    'Sanne, Daan, Lotte, Bram, Femke, Jeroen, Anouk, Sander, Marieke, Thijs, Eva, Pieter, Roos, Maarten',
    'de Jong, Jansen, de Vries, van den Berg, Bakker, van Dijk, Visser, Smit, Meijer, Mulder, Bos, Vermeulen, Peeters, Willems, van Leeuwen',
  ],
  no: [
    'Ingrid, Ola, Kari, Håkon, Silje, Bjørn, Marit, Sindre, Astrid, Eirik, Solveig, Magnus, Guro, Øyvind',
    'Hansen, Johansen, Olsen, Larsen, Berg, Haugen, Hagen, Johannessen, Solberg, Bakke, Moen, Strand, Lie, Ødegård, Nygård',
  ],
  pl: [
    'Agnieszka, Piotr, Katarzyna, Łukasz, Magdalena, Paweł, Joanna, Michał, Ewa, Grzegorz, Aleksandra, Wojciech, Zofia, Krzysztof',
    'Nowak, Kowalczyk, Wójcik, Woźniak, Mazur, Krawczyk, Pawlak, Zając, Kaczmarek, Sikora, Duda, Baran, Szewczyk, Wróbel, Kubiak',
  ],
  pt: [
    'Ana, João, Beatriz, Tiago, Mariana, Rui, Inês, Gonçalo, Catarina, Luís, Sofia, Rafael, Helena, Thiago',
    'Silva, Santos, Ferreira, Pereira, Oliveira, Costa, Rodrigues, Martins, Sousa, Gonçalves, Almeida, Araújo, Simões, Magalhães',
  ],
  sv: [
    'Anna, Erik, Elin, Johan, Åsa, Oskar, Linnéa, Anders, Sofia, Björn, Karin, Viktor, Malin, Göran, Ebba, Henrik',
    'Andersson, Johansson, Karlsson, Nilsson, Eriksson, Larsson, Svensson, Gustafsson, Lindberg, Lindqvist, Bergström, Sjöberg, Åkesson, Nyström, Hedlund',
  ],
  tr: [
    'Ayşe, Mehmet, Zeynep, Mustafa, Elif, Emre, Fatma, Burak, Selin, Ömer, Derya, Çağlar',
    'Yılmaz, Kaya, Demir, Şahin, Çelik, Yıldız, Öztürk, Aydın, Arslan, Doğan, Ünlü, Koç',
  ],
  uk: [
    'Олена/Olena, Андрій/Andrii, Ірина/Iryna, Олександр/Oleksandr, Наталія/Nataliia, Дмитро/Dmytro, Оксана/Oksana, Тарас/Taras',
    'Шевченко/Shevchenko, Коваленко/Kovalenko, Бондаренко/Bondarenko, Ткаченко/Tkachenko, Кравченко/Kravchenko, Мельник/Melnyk, Гончар/Honchar',
  ],
};

const languages = Object.keys(names) as Language[];
const read = Object.fromEntries(
  languages.map((language) => [language, names[language].map(words)]),
) as unknown as Record<Language, [first: Word[], last: Word[]]>;

export function lastNames(language: Language): Word[] {
  return read[language][1];
}

/** Job titles by level, with the share of people on the level in per cent. */
const jobs = [
  { weight: 5, titles: ['Managing Director', 'Chief Executive Officer', 'Chief Financial Officer', 'Owner'] },
  { weight: 14, titles: ['Head of Procurement', 'Head of Marketing', 'IT Director', 'Sales Director'] },
  {
    weight: 34,
    titles: ['Marketing Manager', 'Purchasing Manager', 'Event Manager', 'Office Manager', 'Brand Manager'],
  },
  {
    weight: 47,
    titles: ['Buyer', 'Project Coordinator', 'Accountant', 'Marketing Specialist', 'Assistant', 'Engineer'],
  },
];

export interface Person {
  first: string;
  last: string;
  full: string;
  /** `anna.sorensen` */
  mailbox: string;
  jobTitle: string;
}

/** A person from a country of the language. One in ten has a name from elsewhere. */
export function somePerson(language: Language, random: Random): Person {
  const origin = random.chance(0.1) ? random.pick(languages) : language;
  const [firsts, lasts] = read[origin];
  const first = random.pick(firsts);
  const last = random.pick(lasts);
  return {
    first: first.text,
    last: last.text,
    full: `${first.text} ${last.text}`,
    mailbox: `${first.ascii}.${last.ascii.replaceAll('-', '')}`,
    jobTitle: random.pick(random.weighted(jobs).titles),
  };
}

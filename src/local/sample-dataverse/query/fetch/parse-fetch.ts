import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { badRequest } from '../../http/service-error.ts';

/** An element of FetchXML. */
export interface Element {
  name: string;
  attributes: Record<string, string>;
  children: Element[];
  text: string;
}

const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: false,
});

/** Parses a query. @throws ServiceError if it is not XML or has no `fetch` with one `entity` */
export function parseFetch(xml: string): { fetch: Element; entity: Element } {
  if (XMLValidator.validate(xml) !== true) throw badRequest('Invalid XML.', '0x80040201');
  const [fetch] = elements(parser.parse(xml) as Node[]);
  const entity = fetch?.children.find(({ name }) => name === 'entity');
  if (fetch?.name !== 'fetch' || entity === undefined) throw badRequest('Invalid FetchXML.', '0x80041102');
  return { fetch, entity };
}

type Node = Record<string, unknown> & { ':@'?: Record<string, string> };

function elements(nodes: Node[]): Element[] {
  return nodes.flatMap((node) => {
    const name = Object.keys(node).find((key) => key !== ':@' && key !== '#text' && !key.startsWith('?'));
    if (name === undefined) return [];
    const inner = node[name] as Node[];
    const text = inner.map((each) => (typeof each['#text'] === 'string' ? each['#text'] : '')).join('');
    return { name, attributes: node[':@'] ?? {}, children: elements(inner), text };
  });
}

import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { ConfigurationError, RetriableError } from '../errors.ts';

/** One XML element, without its namespace prefix. Text is left out unless it is the element's only content. */
export interface XmlElement {
  name: string;
  attributes: Readonly<Record<string, string>>;
  children: XmlElement[];
  text: string;
}

/** Deeper than any CSDL document; a deeper one is an attack on the reader. */
const maxDepth = 64;

/** What fast-xml-parser gives with `preserveOrder`: one key for the element's name, `:@` for its attributes. */
type OrderedNode = { ':@'?: Record<string, string> } & Record<string, OrderedNode[] | string>;

const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseTagValue: false,
  parseAttributeValue: false,
  removeNSPrefix: true,
  ignoreDeclaration: true,
  ignorePiTags: true,
  maxNestedTags: maxDepth,
  jPath: false,
  // Without a DOCTYPE only built-in entities and character references are left, and they never grow.
  htmlEntities: true,
  processEntities: { enabled: true, maxExpandedLength: Number.MAX_SAFE_INTEGER },
});

/**
 * Reads an XML document whole.
 * @param maxBytes the largest document read, in UTF-8 bytes
 * @throws ConfigurationError for a document over the size, with a DOCTYPE, nested too deeply, or not in UTF-8
 * @throws RetriableError for one that is not well-formed, for instance cut short on its way
 */
export function readXml(document: Uint8Array | string, what: string, maxBytes: number): XmlElement {
  const text = decode(document, what, maxBytes);
  // Entities defined in a DOCTYPE can grow without bound or read files. OData never sends one.
  if (/<!DOCTYPE|<!ENTITY/i.test(text)) {
    throw new ConfigurationError(`${what} has a DOCTYPE, which is refused`, {
      operation: `read ${what}`,
      object: what,
      hint: 'check that the Dataverse URL points to Dataverse itself and that no proxy answers in its place',
    });
  }
  const valid = XMLValidator.validate(text);
  if (valid !== true) throw malformed(what, `line ${valid.err.line}: ${valid.err.msg}`);
  let nodes: OrderedNode[];
  try {
    nodes = parser.parse(text) as OrderedNode[];
  } catch (error) {
    if (error instanceof Error && /nested tags/i.test(error.message)) {
      throw new ConfigurationError(`${what} nests elements deeper than ${maxDepth}, which is refused`, {
        operation: `read ${what}`,
        object: what,
        cause: error,
      });
    }
    throw malformed(what, error instanceof Error ? error.message : String(error), error);
  }
  const root = elementsOf(nodes)[0];
  if (root === undefined) throw malformed(what, 'there is no element');
  return root;
}

function decode(document: Uint8Array | string, what: string, maxBytes: number): string {
  const size = typeof document === 'string' ? Buffer.byteLength(document) : document.byteLength;
  if (size > maxBytes) {
    throw new ConfigurationError(`${what} has ${size} bytes, more than the ${maxBytes} that are read`, {
      operation: `read ${what}`,
      object: what,
    });
  }
  if (typeof document === 'string') return document.replace(/^\uFEFF/, '');
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(document);
  } catch (error) {
    throw new ConfigurationError(`${what} is not UTF-8 text`, { operation: `read ${what}`, cause: error });
  }
}

function malformed(what: string, detail: string, cause?: unknown): RetriableError {
  // The library quotes what it found, which may be the whole document.
  const excerpt = detail.replaceAll(/\s+/g, ' ').slice(0, 200);
  return new RetriableError(`${what} is not well-formed XML (${excerpt})`, {
    operation: `read ${what}`,
    object: what,
    hint: 'the answer was cut short or is not XML; if it stays so, open the address in a browser and look at it',
    cause,
  });
}

function elementsOf(nodes: OrderedNode[]): XmlElement[] {
  const elements: XmlElement[] = [];
  for (const node of nodes) {
    for (const name of Object.keys(node)) {
      const content = node[name];
      if (name === ':@' || name === '#text' || !Array.isArray(content)) continue;
      elements.push({
        name,
        attributes: node[':@'] ?? {},
        children: elementsOf(content),
        text: textOf(content),
      });
    }
  }
  return elements;
}

function textOf(nodes: OrderedNode[]): string {
  const text = nodes.length === 1 ? nodes[0]?.['#text'] : undefined;
  return typeof text === 'string' ? text : '';
}

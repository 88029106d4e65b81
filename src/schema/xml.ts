import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { ConfigurationError, RetriableError } from '../errors.ts';

/** One XML element, without its namespace prefix. `text` is empty unless text is the only content. */
export interface XmlElement {
  name: string;
  attributes: Readonly<Record<string, string>>;
  children: XmlElement[];
  text: string;
}

/** Deeper than any CSDL document. A deeper one is an attack on the parser. */
const maxDepth = 64;

/** A node of fast-xml-parser with `preserveOrder`: one key with the name of the element, `:@` for its attributes. */
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
  // Without a DOCTYPE only built-in entities and character references remain, and these never expand.
  htmlEntities: true,
  processEntities: { enabled: true, maxExpandedLength: Number.MAX_SAFE_INTEGER },
});

/**
 * Parses a whole XML document.
 * @param what names the document in errors
 * @param maxBytes the size of the largest accepted document, in UTF-8 bytes
 * @throws ConfigurationError if the document is too large, has a DOCTYPE, is nested too deeply, or is not UTF-8
 * @throws RetriableError if it is not well-formed, for example because the connection broke
 */
export function readXml(document: Uint8Array | string, what: string, maxBytes: number): XmlElement {
  const text = decode(document, what, maxBytes);
  // Entities of a DOCTYPE can expand without bound or read files. OData never sends one.
  if (/<!DOCTYPE|<!ENTITY/i.test(text)) {
    throw new ConfigurationError(`${what} has a DOCTYPE, which is not allowed`, {
      operation: `read ${what}`,
      object: what,
      hint: 'Check that the Dataverse URL is the address of Dataverse and that no proxy answers instead.',
    });
  }
  const valid = XMLValidator.validate(text);
  if (valid !== true) throw malformed(what, `line ${valid.err.line}: ${valid.err.msg}`);
  let nodes: OrderedNode[];
  try {
    nodes = parser.parse(text) as OrderedNode[];
  } catch (error) {
    if (error instanceof Error && /nested tags/i.test(error.message)) {
      throw new ConfigurationError(`${what} nests elements deeper than ${maxDepth}, which is not allowed`, {
        operation: `read ${what}`,
        object: what,
        cause: error,
      });
    }
    throw malformed(what, error instanceof Error ? error.message : String(error), error);
  }
  const root = elementsOf(nodes)[0];
  if (root === undefined) throw malformed(what, 'it has no elements');
  return root;
}

function decode(document: Uint8Array | string, what: string, maxBytes: number): string {
  const size = typeof document === 'string' ? Buffer.byteLength(document) : document.byteLength;
  if (size > maxBytes) {
    throw new ConfigurationError(`${what} has ${size} bytes, more than the limit of ${maxBytes}`, {
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
  // The library quotes the document, possibly all of it.
  const excerpt = detail.replaceAll(/\s+/g, ' ').slice(0, 200);
  return new RetriableError(`${what} is not well-formed XML (${excerpt})`, {
    operation: `read ${what}`,
    object: what,
    hint: 'The response was cut short or is not XML. If this persists, open the address in a browser.',
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

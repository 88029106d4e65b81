import { splitOutside } from './split-outside.ts';

/** One navigation property of `$expand`, with its own options. */
export interface Expansion {
  name: string;
  select?: string[];
  filter?: string;
  expand?: string;
  orderBy?: string[];
  top?: number;
}

/** Parses `$expand`: `Attributes($select=LogicalName;$filter=…),Keys`. */
export function parseExpand(text = ''): Expansion[] {
  return nonBlankParts(text, ',').map((part) => {
    const open = part.indexOf('(');
    if (open < 0) return { name: part.trim() };
    const expansion: Expansion = { name: part.slice(0, open).trim() };
    for (const option of nonBlankParts(part.slice(open + 1, part.lastIndexOf(')')), ';')) {
      const at = option.indexOf('=');
      const value = option.slice(at + 1).trim();
      switch (option.slice(0, at).trim()) {
        case '$select':
          expansion.select = value.split(',').map((name) => name.trim());
          break;
        case '$filter':
          expansion.filter = value;
          break;
        case '$orderby':
          expansion.orderBy = value.split(',');
          break;
        case '$top':
          expansion.top = Number(value);
          break;
        case '$expand':
          expansion.expand = value;
      }
    }
    return expansion;
  });
}

function nonBlankParts(text: string, separator: string): string[] {
  return splitOutside(text, separator).filter((part) => part.trim() !== '');
}

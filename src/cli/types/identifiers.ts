/** Names of this module of the generated code, and words that no type can be called. */
const taken = [
  ...[
    'Reference',
    'Mirror',
    'Date',
    'String',
    'Number',
    'Boolean',
    'Object',
    'Record',
    'Array',
    'Uint8Array',
  ],
  ...['defineTable', 'noReference'],
];

/** Words that no constant of a module can be called (ECMAScript: Keywords and Reserved Words; strict mode). */
const reserved = new Set(
  `arguments await break case catch class const continue debugger default delete do else enum eval export extends false
   finally for function if implements import in instanceof interface let new null package private protected public return
   static super switch this throw true try typeof var void while with yield`.split(/\s+/),
);

/** Gives out each name once. */
export class Identifiers {
  readonly #used = new Set(taken.map((name) => name.toLowerCase()));

  /** `new_shipmentline` → `NewShipmentline`, or `NewShipmentline2` if that was given out. */
  type(logicalName: string, suffix = ''): string {
    const words = logicalName.split(/[^\p{L}\p{N}]+/u).filter((word) => word !== '');
    const pascal = words.map((word) => word[0]!.toUpperCase() + word.slice(1)).join('');
    return this.#unique(`${/^\p{L}/u.test(pascal) ? '' : 'T'}${pascal}${suffix}`);
  }

  /** A name for a constant: as it is, where that is an identifier. */
  constant(name: string): string {
    const text = name.replaceAll(/[^\p{L}\p{N}_$]/gu, '_');
    return this.#unique(/^[\p{L}_$]/u.test(text) && !reserved.has(text) ? text : `_${text}`);
  }

  #unique(name: string): string {
    let free = name;
    for (let n = 2; this.#used.has(free.toLowerCase()); n++) free = `${name}${n}`;
    this.#used.add(free.toLowerCase());
    return free;
  }
}

/** The name of a member: quoted where it is no identifier. */
export function member(name: string): string {
  return /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(name) ? name : JSON.stringify(name);
}

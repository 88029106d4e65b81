/**
 * The names that an object of a JSON text has more than once, each behind those of the objects around it. `JSON.parse` takes
 * the last value and says nothing.
 * @param json valid
 * @example repeatedNames('{"a": {"b": 1, "b": 2}}') // [['a', 'b']]
 */
export function repeatedNames(json: string): string[][] {
  const repeated: string[][] = [];
  const around: { name: string; names: Set<string> }[] = [];
  let text = '';
  let name = '';
  for (let at = 0; at < json.length; at++) {
    const character = json[at];
    if (character === '"') {
      const end = endOfString(json, at);
      text = json.slice(at, end);
      at = end - 1;
    } else if (character === ':') {
      name = JSON.parse(text) as string;
      const { names } = around.at(-1)!;
      if (names.has(name)) repeated.push([...around.slice(1).map((one) => one.name), name]);
      names.add(name);
    } else if (character === '{' || character === '[') around.push({ name, names: new Set() });
    else if (character === '}' || character === ']') around.pop();
  }
  return repeated;
}

function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
  return at + 1;
}

/** Markup that is safe to send, because `html` escaped every value in it. */
export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

type Part = Html | string | number | undefined | readonly Part[];

/** A template of markup. Values are escaped unless they are markup themselves; undefined renders nothing. */
export function html(fixed: TemplateStringsArray, ...parts: Part[]): Html {
  let text = fixed[0]!;
  parts.forEach((part, index) => {
    text += render(part) + fixed[index + 1]!;
  });
  return new Html(text);
}

function render(part: Part): string {
  if (part === undefined) return '';
  if (part instanceof Html) return part.text;
  if (typeof part === 'object') return part.map(render).join('');
  return escapeHtml(String(part));
}

const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Escapes text for element content and for quoted attributes. */
function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character]!);
}

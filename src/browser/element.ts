/** Makes an element. Texts stay texts, whatever they contain. */
export function element<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Record<string, string | boolean | undefined> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Name] {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(attribute, '');
    else if (typeof value === 'string') made.setAttribute(attribute, value);
  }
  made.append(...children);
  return made;
}

/**
 * Does what a button asks for, once at a time. Meanwhile the button says that it cannot be used, and keeps the focus: one
 * that is `disabled` loses it.
 */
export async function once(button: HTMLButtonElement, task: () => Promise<void>): Promise<void> {
  if (button.ariaDisabled === 'true') return;
  button.ariaDisabled = 'true';
  try {
    await task();
  } finally {
    button.removeAttribute('aria-disabled');
  }
}

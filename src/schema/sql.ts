/** A name for SQL, whatever it holds: `"action"`. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text literal for SQL: `'O''Brian'`. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

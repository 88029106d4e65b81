/** Names and texts as SQL. */
export const quoted = {
  name: (name: string): string => `"${name.replaceAll('"', '""')}"`,
  text: (text: string): string => `'${text.replaceAll("'", "''")}'`,
};

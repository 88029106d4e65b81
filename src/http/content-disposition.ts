/** `Content-Disposition` of a file to be saved under this name (RFC 6266; RFC 8187 for names beyond ASCII). */
export function attachment(name: string): string {
  const plain = name.replace(/[^ !#$&-[\]-~]/g, '_');
  const encoded = encodeURIComponent(name).replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);
  return `attachment; filename="${plain}"${plain === name ? '' : `; filename*=UTF-8''${encoded}`}`;
}

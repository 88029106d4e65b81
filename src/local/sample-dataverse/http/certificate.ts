import { execFileSync } from 'node:child_process';

/** A key and a certificate for the loopback address, both PEM. */
export interface Certificate {
  key: string;
  certificate: string;
}

/**
 * Makes a self-signed certificate for this start. Node cannot make one, so this calls the `openssl` command.
 * @throws Error if the command is absent
 */
export function makeCertificate(): Certificate {
  const output = runOpenssl([
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
    ...['-days', '30', '-subj', '/CN=localhost', '-keyout', '-', '-out', '-'],
    ...['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
  ]);
  const block = (name: string): string => {
    const found = new RegExp(`-----BEGIN ${name}-----[\\s\\S]*?-----END ${name}-----`).exec(output)?.[0];
    if (found === undefined) throw new Error(`openssl did not print a ${name}`);
    return `${found}\n`;
  };
  return { key: block('PRIVATE KEY'), certificate: block('CERTIFICATE') };
}

/** Whether this machine has the `openssl` command, so that HTTPS is possible. */
export function canMakeCertificate(): boolean {
  try {
    return runOpenssl(['version']) !== '';
  } catch {
    return false;
  }
}

function runOpenssl(parameters: readonly string[]): string {
  try {
    return execFileSync('openssl', parameters, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    throw new Error(
      'The sample Dataverse needs the openssl command to offer HTTPS. Install it, or use HTTP.',
      {
        cause: error,
      },
    );
  }
}

import { postgresAddress } from '../postgres/postgres-address.ts';
import { queueName } from '../queue-names.ts';
import { landingZoneAddress } from '../storage-settings.ts';
import type { AppSettings } from './environment.ts';

/** Something that no two environments can have in common. */
export interface Place {
  /** The setting that names it. */
  setting: string;
  place: string;
  /** The storage account that it is in, if its name is known. */
  account?: string | undefined;
}

/** Whether two places are, or may be, the same. */
export function isSamePlace(one: Place, other: Place): boolean {
  if (one.place !== other.place) return false;
  return one.account === undefined || other.account === undefined || one.account === other.account;
}

/**
 * Where an environment keeps its work, its messages and its mirror. Two that shared one of these would take each other's
 * rows for their own.
 */
export function placesOf(settings: AppSettings): Place[] {
  const of = (setting: string, fallback: string) => settings[setting]?.trim() || fallback;
  const container = (setting: string, fallback: string, account: string | undefined): Place => ({
    setting,
    place: `container ${of(setting, fallback)}`,
    account,
  });
  const host = accountOf(settings, 'AzureWebJobsStorage');
  const database = hasAccount(settings, 'SYNC_DATABASE_STORAGE')
    ? accountOf(settings, 'SYNC_DATABASE_STORAGE')
    : host;
  return [
    // As functions listen: an invalid prefix counts as none.
    { setting: 'SYNC_QUEUE_PREFIX', place: `queue ${queueName('sync-plan', settings)}` },
    container('SYNC_WORK_CONTAINER', 'sync-work', host),
    container('SYNC_DATABASE_CONTAINER', 'dataverse', database),
    ...schemasOf(settings),
  ];
}

function hasAccount(settings: AppSettings, setting: string): boolean {
  return ['', '__accountName', '__blobServiceUri'].some((end) => settings[`${setting}${end}`]?.trim());
}

/** An address of Azure itself: one of another domain may be a second name of any account. */
const azureBlobs = /^https:\/\/([a-z0-9]+)\.(?:z\d+\.)?blob\.(?:core\.|storage\.azure\.net)/i;

/** The name of an account; undefined if the settings do not say it, or say it in a connection string. */
function accountOf(settings: AppSettings, setting: string): string | undefined {
  const of = (end: string) => settings[`${setting}${end}`]?.trim() || undefined;
  if (of('') !== undefined) return undefined;
  const address = of('__blobServiceUri');
  const name = address === undefined ? of('__accountName') : azureBlobs.exec(address)?.[1];
  return name?.toLowerCase();
}

/** The schema of a mirror in PostgreSQL, and that of its staged shards. */
function schemasOf(settings: AppSettings): Place[] {
  if (settings['SYNC_TARGET']?.trim() !== 'postgres') return [];
  const schema = settings['POSTGRES_SCHEMA']?.trim() || 'dataverse';
  const server = serverOf(settings);
  return [schema, `${schema}_sync_staging`].map((name) => ({
    setting: 'POSTGRES_SCHEMA',
    place: `schema ${name} of ${server}`,
  }));
}

function serverOf(settings: AppSettings): string {
  const url = settings['POSTGRES_URL']?.trim();
  if (!url)
    return `${settings['POSTGRES_HOST']?.trim().toLowerCase()}:5432/${settings['POSTGRES_DATABASE']?.trim()}`;
  try {
    const { host, port, database } = postgresAddress(url);
    return `${host.toLowerCase()}:${port}/${database}`;
  } catch {
    // Without it there is no mirror, and the settings' check says why.
    return '?';
  }
}

/** Whether one landing zone is the other, or a folder in it. */
export function shareLandingZone(one: AppSettings, other: AppSettings): boolean {
  const [first, second] = [one, other].map((settings) => {
    const address = settings['FABRIC_LANDING_ZONE']?.trim();
    return address ? landingZoneAddress(address) : undefined;
  });
  if (first === undefined || second === undefined) return false;
  // Without an address it is the account of the database, whose address may be said in another way.
  const mayDiffer = first.blobServiceUri !== undefined && second.blobServiceUri !== undefined;
  if (mayDiffer && first.blobServiceUri !== second.blobServiceUri) return false;
  const [a, b] = [first, second].map(({ container, folder }) =>
    `${container}/${folder}`.replace(/\/?$/, '/'),
  );
  return a!.startsWith(b!) || b!.startsWith(a!);
}

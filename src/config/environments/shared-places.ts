import { postgresAddress } from '../postgres/postgres-address.ts';
import { queueName } from '../queue-names.ts';
import { landingZoneAddress } from '../storage-settings.ts';
import type { AppSettings } from './environment.ts';

/** Something that no two environments can have in common. */
export interface Place {
  /** The setting that names it. */
  setting: string;
  place: string;
}

/**
 * Where an environment keeps its work, its messages and its mirror. Two that shared one of these would take each other's
 * rows for their own.
 */
export function placesOf(settings: AppSettings): Place[] {
  const of = (setting: string, fallback: string) => settings[setting]?.trim() || fallback;
  return [
    // As functions listen: an invalid prefix counts as none.
    { setting: 'SYNC_QUEUE_PREFIX', place: `queue ${queueName('sync-plan', settings)}` },
    { setting: 'SYNC_WORK_CONTAINER', place: `container ${of('SYNC_WORK_CONTAINER', 'sync-work')}` },
    { setting: 'SYNC_DATABASE_CONTAINER', place: `container ${of('SYNC_DATABASE_CONTAINER', 'dataverse')}` },
    ...schemasOf(settings),
  ];
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

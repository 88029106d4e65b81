import * as z from 'zod';
import { DamagedDocumentError } from '../../storage/document-store.ts';
import type { CheckProgress, CheckResult } from '../../target/mirror-check.ts';
import { paths } from '../documents/paths.ts';
import type { SyncServices } from '../documents/services.ts';

export type CheckTrigger = 'timer' | 'http';

/** The latest check of the mirror, live or over: `check.json`. Its ETag decides which process continues it. */
export interface CheckDocument {
  checkId: string;
  trigger: CheckTrigger;
  state: 'running' | 'complete' | 'failed';
  /** All times: ISO 8601, UTC. */
  startedAt: string;
  /** When the last step ended, or a lost message was sent again. */
  updatedAt: string;
  finishedAt?: string;
  /** The step that the next message asks for. */
  step: number;
  /** Of `progress`: steps of another version of the app begin again. */
  format: number;
  progress?: CheckProgress;
  /** The blob with what is too large for this document. */
  checkpoint?: string;
  error?: string;
  hint?: string;
}

/** Changes when `CheckProgress` does. */
export const checkFormat = 2;

/** What the last complete check found, beside the database. Programs may read it. */
export interface StoredCheck extends CheckResult {
  checkId: string;
  startedAt: string;
  finishedAt: string;
}

/** Its name in the container of the database. */
export const storedCheckName = 'database-check.json';

const time = z.string().refine((value) => !Number.isNaN(Date.parse(value)));
const count = z.number();
const part = z.looseObject({ done: count, total: count });

const document = z.looseObject({
  checkId: z.string().regex(/^[\w-]{1,64}$/),
  trigger: z.enum(['timer', 'http']),
  state: z.enum(['running', 'complete', 'failed']),
  startedAt: time,
  updatedAt: time,
  finishedAt: time.optional(),
  step: z.int().min(0),
  format: count,
  progress: z
    .looseObject({ phase: z.enum(['pages', 'references']), bytes: part, references: part })
    .optional(),
  checkpoint: z.string().optional(),
  error: z.string().optional(),
  hint: z.string().optional(),
});

const stored = z.looseObject({
  checkId: z.string(),
  startedAt: time,
  finishedAt: time,
  database: z.looseObject({ etag: z.string(), bytes: count }),
  tables: count,
  faultCount: count,
  faults: z.array(z.looseObject({ table: z.string().optional(), text: z.string() })),
  miscounted: z.array(z.looseObject({ table: z.string(), kept: count, counted: count })),
  uncounted: z.array(z.string()),
  danglingReferences: count.optional(),
  foreignKeys: z.array(z.looseObject({ table: z.string(), column: z.string(), count })).optional(),
});

/** @returns the latest check, without a value if its document is damaged: the next start replaces it */
export async function readCheck({
  work,
}: Pick<SyncServices, 'work'>): Promise<{ value: CheckDocument | undefined; etag: string } | undefined> {
  try {
    const found = await work.read<CheckDocument>(paths.check);
    return (
      found && { value: document.safeParse(found.value).success ? found.value : undefined, etag: found.etag }
    );
  } catch (error) {
    if (error instanceof DamagedDocumentError) return { value: undefined, etag: error.etag };
    throw error;
  }
}

/** The result of the last complete check; undefined if there is none, or if another program has damaged it. */
export async function readStoredCheck({
  published,
}: Pick<SyncServices, 'published'>): Promise<StoredCheck | undefined> {
  try {
    const found = await published.read<StoredCheck>(storedCheckName);
    return found && stored.safeParse(found.value).success ? found.value : undefined;
  } catch (error) {
    if (error instanceof DamagedDocumentError) return undefined;
    throw error;
  }
}

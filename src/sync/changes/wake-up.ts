import { z } from 'zod';
import { ConflictError } from '../../errors.ts';
import { DamagedDocumentError } from '../../storage/document-store.ts';
import type { ChangesMessage } from '../documents/messages.ts';
import { paths } from '../documents/paths.ts';
import type { SyncServices } from '../documents/services.ts';

/** `changes.json`: which message is on its way to start a run for the changes that wait. */
const wakeUp = z.looseObject({ wakeId: z.string(), dueAt: z.iso.datetime() });
type WakeUp = z.output<typeof wakeUp>;

/**
 * Seconds after its time at which a message counts as lost. The first one to an app without instances can take two minutes
 * (github.com/Azure/azure-functions-host#10706).
 */
const lostAfterSeconds = 180;

/**
 * Makes sure that a message is on its way that starts a run for all changes stored by now. Many changes share one: a
 * message that is still to come finds them.
 *
 * The message is sent before it is noted. So a note tells of a message that was sent, also if this process dies; without
 * a note, the next change sends another one.
 * @param tries how often in a row the message found another run
 */
export async function requestWakeUp(services: SyncServices, delaySeconds: number, tries = 0): Promise<void> {
  const { work, now } = services;
  const noted = (await readWakeUp(services))?.value;
  const time = now().getTime();
  // A message that is due but late takes its note away before it looks at the changes. It finds these as well.
  if (noted !== undefined && time < Date.parse(noted.dueAt) + lostAfterSeconds * 1000) return;
  const wakeId = services.randomId();
  const next: WakeUp = { wakeId, dueAt: new Date(time + delaySeconds * 1000).toISOString() };
  await services.sendChanges({ wakeId, tries }, delaySeconds);
  await work.put(paths.wakeUp, next);
}

/**
 * Takes the note of a message away before it looks at the changes: one that is stored after that requests another message.
 * @returns false if another message is still to come, which does the work of this one
 */
export async function takeWakeUp(services: SyncServices, { wakeId }: ChangesMessage): Promise<boolean> {
  const noted = await readWakeUp(services);
  if (noted === undefined) return true;
  const { value, etag } = noted;
  const isLater = value !== undefined && services.now() < new Date(value.dueAt);
  if (isLater && value.wakeId !== wakeId) return false;
  try {
    await services.work.deleteIfUnchanged(paths.wakeUp, etag);
    return true;
  } catch (error) {
    // Another message was noted in between.
    if (error instanceof ConflictError) return false;
    throw error;
  }
}

/** Forgets the message that was noted, so that the next change sends another one. */
export async function forgetWakeUp({ work }: SyncServices): Promise<void> {
  await work.deletePrefix(paths.wakeUp);
}

/** `value` is undefined if another program has damaged the note. */
async function readWakeUp({ work }: SyncServices): Promise<{ value?: WakeUp; etag: string } | undefined> {
  try {
    const found = await work.read(paths.wakeUp);
    if (found === undefined) return undefined;
    const { success, data } = wakeUp.safeParse(found.value);
    return success ? { value: data, etag: found.etag } : { etag: found.etag };
  } catch (error) {
    if (error instanceof DamagedDocumentError) return { etag: error.etag };
    throw error;
  }
}

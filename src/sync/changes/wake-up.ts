import { z } from 'zod';
import { ConflictError } from '../../errors.ts';
import { DamagedDocumentError } from '../../storage/document-store.ts';
import type { ChangesMessage } from '../documents/messages.ts';
import { paths } from '../documents/paths.ts';
import type { SyncServices } from '../documents/services.ts';

/**
 * `changes.json`: which message is on its way to start a run for the changes that wait, and when it arrives. Until it is
 * sent, the note is reserved for its sender.
 */
const wakeUp = z.looseObject({
  wakeId: z.string(),
  notedAt: z.iso.datetime(),
  dueAt: z.iso.datetime(),
  isSent: z.boolean(),
});
type WakeUp = z.output<typeof wakeUp>;

/**
 * Seconds after its time at which a message counts as lost. The first one to an app without instances can take two minutes
 * (github.com/Azure/azure-functions-host#10706).
 */
const lostAfterSeconds = 180;

/** Seconds for which a note stays reserved. A message is sent in less; after that, its sender has died. */
const reservedSeconds = 10;

/**
 * Makes sure that a message is on its way that starts a run for all changes stored by now. Many changes share one: a
 * message that is still to come finds them.
 *
 * The note is reserved before the message is sent, and says afterwards that it was. A message that is handled in between
 * takes the note away, so no note announces a message that is already gone. A reserved note keeps nobody from sending: its
 * sender may have died.
 * @param delay seconds until the message arrives, asked if one is needed
 * @param options `isUrgent`: a message that arrives later than that is not enough
 */
export async function requestWakeUp(
  services: SyncServices,
  delay: () => Promise<number>,
  { isUrgent = false } = {},
): Promise<void> {
  const noted = await readWakeUp(services);
  const before = noted?.value;
  const time = services.now().getTime();
  const isOnItsWay = before?.isSent === true && time < Date.parse(before.dueAt) + lostAfterSeconds * 1000;
  // A message that is due but late takes its note away before it looks at the changes. It finds these as well.
  if (isOnItsWay && !isUrgent) return;
  const seconds = await delay();
  const dueAt = new Date(time + seconds * 1000).toISOString();
  if (isOnItsWay && before.dueAt <= dueAt) return;
  const notedAt = new Date(time).toISOString();
  const note: WakeUp = { wakeId: services.randomId(), notedAt, dueAt, isSent: false };
  // Who has reserved the note keeps it, so that one of many senders can complete it.
  const isReserved = before?.isSent === false && time < Date.parse(before.notedAt) + reservedSeconds * 1000;
  const etag = isReserved ? undefined : await replace(services, note, noted?.etag);
  await services.sendChanges({ wakeId: note.wakeId }, seconds);
  // Undefined also if the message was handled meanwhile: after the changes were stored, so it found them.
  if (etag !== undefined) await replace(services, { ...note, isSent: true }, etag);
}

/** @returns the ETag of the note; undefined if it has changed meanwhile */
async function replace(
  { work }: SyncServices,
  note: WakeUp,
  etag: string | undefined,
): Promise<string | undefined> {
  if (etag === undefined) return work.create(paths.wakeUp, note);
  try {
    return await work.replaceIfUnchanged(paths.wakeUp, note, etag);
  } catch (error) {
    if (error instanceof ConflictError) return undefined;
    throw error;
  }
}

/**
 * Takes the note of a message away before it looks at the changes: one that is stored after that requests another message.
 * @returns false if another message is still to come, which does the work of this one
 */
export async function takeWakeUp(services: SyncServices, { wakeId }: ChangesMessage): Promise<boolean> {
  for (;;) {
    const noted = await readWakeUp(services);
    if (noted === undefined) return true;
    const { value, etag } = noted;
    const isLater = value?.isSent === true && services.now() < new Date(value.dueAt);
    if (isLater && value.wakeId !== wakeId) return false;
    try {
      await services.work.deleteIfUnchanged(paths.wakeUp, etag);
      return true;
    } catch (error) {
      // Another message was noted in between. It may not have been sent yet, so look again.
      if (!(error instanceof ConflictError)) throw error;
    }
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

import { z } from 'zod';
import { BadRequest } from '../responses.ts';

const startRequest = z.strictObject({
  /** Take up a live run at once: for a person who knows that it stands still. */
  resume: z.boolean().optional(),
  /** Tables (logical names) whose deletes are let through once, beyond `massDeleteLimit`. */
  allowMassDelete: z.array(z.string()).optional(),
});

/** The options of `POST /api/sync`; an empty body means none. @throws BadRequest */
export function parseStartRequest(body: string): { resume?: boolean; allowMassDelete?: string[] } {
  if (body.trim() === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new BadRequest('The body is no JSON.');
  }
  const parsed = startRequest.safeParse(value);
  if (!parsed.success) throw new BadRequest(z.prettifyError(parsed.error));
  const { resume, allowMassDelete } = parsed.data;
  return {
    ...(resume === undefined ? {} : { resume }),
    ...(allowMassDelete === undefined ? {} : { allowMassDelete }),
  };
}

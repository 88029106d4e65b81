import type { HttpHandler, HttpRequest, HttpResponseInit } from '@azure/functions';
import { SyncError } from '../../errors.ts';
import { inInvocation } from '../../telemetry/invocation-log.ts';
import type { MetricsServices } from '../services.ts';
import { methodNotAllowed, problemOf } from './problem.ts';

type Answer = (services: MetricsServices, request: HttpRequest) => Promise<HttpResponseInit>;

/** Every method, so that the wrong ones are answered with 405 and not with the host's 404. */
export const allMethods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'] as const;

/** A handler that answers by method, 405 for the others, and a problem where something failed. */
export function answerBy(
  services: () => MetricsServices,
  methods: Partial<Record<'GET' | 'POST', Answer>>,
): HttpHandler {
  return (request, context) =>
    inInvocation(context, async () => {
      const answer = methods[request.method.toUpperCase() as 'GET' | 'POST'];
      if (answer === undefined) return methodNotAllowed(Object.keys(methods));
      try {
        return await answer(services(), request);
      } catch (error) {
        if (!(error instanceof SyncError))
          context.error(error instanceof Error ? error.stack : String(error));
        else context.warn(error.message);
        return problemOf(error);
      }
    });
}

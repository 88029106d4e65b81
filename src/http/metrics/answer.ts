import type { HttpHandler, HttpRequest, HttpResponseInit, InvocationContext } from '@azure/functions';
import { SyncError } from '../../errors.ts';
import type { MetricsServices } from '../../metrics/services.ts';
import { inInvocation } from '../../telemetry/invocation-log.ts';
import { methodNotAllowed, problemOf } from './problem.ts';

type Answer = (services: MetricsServices, request: HttpRequest) => Promise<HttpResponseInit>;

/** Every method, so that the wrong ones are answered with 405 and not with the host's 404. */
export const allMethods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'] as const;

/**
 * A handler that answers by method: HEAD as GET without its body, OPTIONS with what there is, 405 for the
 * others (RFC 9110, section 9), and a problem where something failed.
 */
export function answerBy(
  services: () => MetricsServices,
  methods: Partial<Record<'GET' | 'POST', Answer>>,
): HttpHandler {
  return inInvocation(async (request: HttpRequest, context: InvocationContext) => {
    const method = request.method.toUpperCase();
    const allowed = Object.keys(methods).flatMap((name) => (name === 'GET' ? ['GET', 'HEAD'] : [name]));
    if (method === 'OPTIONS') return { status: 204, headers: { Allow: [...allowed, method].join(', ') } };
    const answer = methods[method === 'HEAD' ? 'GET' : (method as 'GET' | 'POST')];
    if (answer === undefined) return methodNotAllowed([...allowed, 'OPTIONS']);
    try {
      const { body, ...rest } = await answer(services(), request);
      return method === 'HEAD' ? rest : { ...rest, body: body ?? null };
    } catch (error) {
      if (!(error instanceof SyncError)) context.error(error instanceof Error ? error.stack : String(error));
      else context.warn(error.message);
      return problemOf(error);
    }
  });
}

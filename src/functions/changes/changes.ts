import { serve } from '../../http/handler.ts';
import { postChanges } from '../../http/sync/post-changes.ts';
import { registerHttp } from '../../register-functions.ts';
import { syncServices } from '../../services.ts';

/** `POST /api/changes`: receives the messages of a Dataverse webhook. */
registerHttp('changes', 'changes', (environment) =>
  serve(() => syncServices(environment), { POST: postChanges }),
);

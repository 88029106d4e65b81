import { app } from '@azure/functions';
import { serve } from '../../http/handler.ts';
import { postChanges } from '../../http/sync/post-changes.ts';
import { syncServices } from '../../services.ts';

/** `POST /api/changes`: receives the messages of a Dataverse webhook. */
app.http('changes', { route: 'changes', ...serve(syncServices, { POST: postChanges }) });

import { ConfigurationError } from '../../errors.ts';
import type { Binding, FunctionMetadata, InvocationResponse, TypedData } from './core-api.ts';
import type { Queues } from './queues/queues.ts';

/** Sends a function's return value and `context.extraOutputs` to the queues of its output bindings. */
export class OutputBindings {
  readonly #queues: Queues;

  constructor(queues: Queues) {
    this.#queues = queues;
  }

  /** @throws ConfigurationError for an output that this host cannot write, so that no output is lost silently */
  static check(metadata: FunctionMetadata): void {
    for (const binding of Object.values(metadata.bindings)) {
      if (binding.direction === 'out' && binding.type !== 'queue' && binding.type !== 'http') {
        throw new ConfigurationError(
          `Function ${metadata.name}: the local functions host does not support the output binding "${binding.type}"`,
          { object: metadata.name, hint: 'Run the app with Azure Functions Core Tools (func start).' },
        );
      }
    }
  }

  async write(metadata: FunctionMetadata, response: InvocationResponse): Promise<void> {
    for (const { name, data } of response.outputData ?? []) await this.#send(metadata.bindings[name], data);
    await this.#send(metadata.bindings['$return'], response.returnValue);
  }

  async #send(binding: Binding | undefined, data: TypedData | null | undefined): Promise<void> {
    if (binding?.type !== 'queue' || data === null || data === undefined) return;
    const queue = this.#queues.get(String(binding['queueName']), binding['connection']);
    for (const message of toMessages(data)) await queue.send(message);
  }
}

/** Each element of an array is a message: a string as it is, any other value as JSON. */
function toMessages(data: TypedData): (string | Uint8Array)[] {
  if (data.bytes !== undefined) return [data.bytes];
  if (data.json === undefined) return [data.string ?? String(data.int ?? data.double ?? '')];
  const value: unknown = JSON.parse(data.json);
  if (!Array.isArray(value)) return [data.json];
  return value.map((item) => (typeof item === 'string' ? item : JSON.stringify(item)));
}

import { scheduleFault } from '../ncrontab.ts';
import { queueName } from '../queue-names.ts';

/** App settings by name. */
export type AppSettings = Record<string, string | undefined>;

/**
 * A Dataverse environment that the app syncs, with what the host needs to know of its functions. The first one of an app
 * is that of the app settings; it has no name, and its functions, queues and addresses are those of an app with one alone.
 */
export class Environment {
  /** In environments.json; undefined for that of the app settings. */
  readonly name: string | undefined;
  /** The app settings as they are for this environment. */
  readonly settings: AppSettings;

  constructor(name: string | undefined, settings: AppSettings) {
    this.name = name;
    this.settings = settings;
  }

  /**
   * The name of a function. The name of the app setting that disables it contains it, and has no hyphen on Linux
   * (learn.microsoft.com: How to disable functions in Azure Functions).
   * @example new Environment('sales-eu', …).functionName('mergeRound') // mergeRound_sales_eu
   */
  functionName(name: string): string {
    return this.name === undefined ? name : `${name}_${this.name.replaceAll('-', '_')}`;
  }

  /** The route of an HTTP function. @example new Environment('sales', …).route('sync/{runId?}') // environments/sales/sync/{runId?} */
  route(route: string): string {
    return this.name === undefined ? route : `environments/${this.name}/${route}`;
  }

  /** The name of a queue. */
  queueName(name: string): string {
    return queueName(name, this.settings);
  }

  /**
   * The schedule of the timer. For the app settings it is the host that reads `SYNC_SCHEDULE`
   * (learn.microsoft.com: Azure Functions binding expressions, "App settings"). Undefined if an environment has none that is
   * valid, which `GET /api/environments/{name}/health` says.
   */
  get schedule(): string | undefined {
    if (this.name === undefined) return '%SYNC_SCHEDULE%';
    const schedule = this.settings['SYNC_SCHEDULE']?.trim() ?? '';
    return schedule === '' || scheduleFault(schedule) !== undefined ? undefined : schedule;
  }
}

/** Makes something of each environment when it is first asked for. After a failure the next call tries again. */
export function perEnvironment<Made>(
  make: (environment: Environment) => Made,
): (environment: Environment) => Made {
  const made = new Map<string | undefined, Made>();
  return (environment) => {
    const { name } = environment;
    if (!made.has(name)) {
      const now = make(environment);
      made.set(name, now);
      if (now instanceof Promise) now.catch(() => made.delete(name));
    }
    return made.get(name)!;
  };
}

import { posix } from 'node:path';
import { checkFile } from './check-file.ts';
import { parse } from './parse.ts';
import type { DeployedResource } from './references.ts';
import type { ResourceTypes } from './resource-types.ts';
import type { BicepFile } from './syntax.ts';
import { TemplateRun } from './template-run.ts';
import { BicepError, type Place } from './tokens.ts';
import type { Value } from './values.ts';

/** What a deployment would do, and what is wrong with it. */
export interface Deployment {
  resources: DeployedResource[];
  outputs: Record<string, Value>;
  /** `file:line: message`, each once. */
  faults: string[];
  files: Map<string, BicepFile>;
}

export interface DeploymentOptions {
  /** The text of a file, by its path from the folder of infra/. @throws if there is no such file */
  read(path: string): string;
  main: string;
  parameters: Record<string, Value>;
  /** The types of Azure; without them, resources are not checked against their types. */
  types?: ResourceTypes | undefined;
}

interface ReadFile {
  /** Undefined if it cannot be parsed. */
  file: BicepFile | undefined;
  faults: { place: Place; message: string }[];
}

/** What was read, by the text: most deployments of a test differ in one file, or in their parameters alone. */
const readFiles = new Map<string, ReadFile>();

function readBicep(text: string): ReadFile {
  const known = readFiles.get(text);
  if (known !== undefined) return known;
  let read: ReadFile;
  try {
    const file = parse(text);
    read = { file, faults: checkFile(file) };
  } catch (error) {
    if (!(error instanceof BicepError)) throw error;
    read = { file: undefined, faults: [error] };
  }
  readFiles.set(text, read);
  return read;
}

/** The files of a deployment, parsed once, and where its faults and resources are collected. */
export class DeploymentContext {
  readonly options: DeploymentOptions;
  readonly files = new Map<string, BicepFile>();
  readonly resources: DeployedResource[] = [];
  readonly #faults = new Set<string>();

  constructor(options: DeploymentOptions) {
    this.options = options;
  }

  get faults(): string[] {
    return [...this.#faults];
  }

  report(path: string, place: Place, message: string): void {
    this.#faults.add(`${path}:${place.line}: ${message}`);
  }

  /** A file by its path; undefined, with the fault reported, if it cannot be read or parsed. */
  file(path: string, from?: { path: string; place: Place }): BicepFile | undefined {
    const known = this.files.get(path);
    if (known !== undefined) return known;
    let text: string;
    try {
      text = this.options.read(path);
    } catch {
      this.report(from?.path ?? path, from?.place ?? { line: 1, column: 1 }, `There is no file ${path}`);
      return undefined;
    }
    const { file, faults } = readBicep(text);
    for (const { place, message } of faults) this.report(path, place, message);
    if (file !== undefined) this.files.set(path, file);
    return file;
  }

  /** The path of a module, as its declaration gives it. */
  resolve(path: string, from: string): string {
    return posix.normalize(posix.join(posix.dirname(from), path));
  }
}

/**
 * Carries out a deployment without Azure: checks every file that it reaches, evaluates all expressions with these
 * parameters, and checks every resource against its type.
 */
export function deploy(options: DeploymentOptions): Deployment {
  const context = new DeploymentContext(options);
  const file = context.file(options.main);
  let outputs: Record<string, Value> = {};
  if (file !== undefined) {
    const run = new TemplateRun(context, options.main, file, options.parameters, {
      resourceGroup: '',
      module: '',
    });
    outputs = run.runAll();
  }
  return { resources: context.resources, outputs, faults: context.faults, files: context.files };
}

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Csdl, parseCsdl } from '../../src/schema/csdl.ts';
import { isLong } from '../long.ts';
import { sharedAbsent, sharedPath } from '../shared.ts';

const folder = sharedPath('dataverse', 'metadata');

/** The real `$metadata` documents, ordered by name; empty if the shared folder is absent. */
export const documents: string[] = folder === undefined ? [] : readdirSync(folder).sort();

const organisationOf = (name: string): string => name.replace(/-\d{4}-.*/, '');

/** The latest document of each organisation; all of them in the long form. Those of one organisation are alike. */
export const latestDocuments: string[] = documents.filter(
  (name, index) => isLong || organisationOf(name) !== organisationOf(documents[index + 1] ?? ''),
);

/** The title of the tests with them, which says why they are skipped. */
export const realDocuments =
  documents.length === 0 ? `real documents (skipped: ${sharedAbsent})` : 'real documents';

export function readDocument(name: string): Buffer {
  return readFileSync(join(folder!, name));
}

export function parseDocument(name: string): Csdl {
  return parseCsdl(readDocument(name));
}

/** A small document with one schema. */
export function schemaDocument(content: string): string {
  return `<?xml version="1.0" encoding="utf-8"?><edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices><Schema Namespace="Microsoft.Dynamics.CRM" Alias="mscrm" xmlns="http://docs.oasis-open.org/odata/ns/edm">${content}</Schema></edmx:DataServices></edmx:Edmx>`;
}

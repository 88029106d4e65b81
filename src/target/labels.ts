import type { Choice } from '../dataverse/metadata/choices.ts';

/** How people call a table and its columns, in the organisation's base language. */
export interface TableNames {
  /** Logical name. */
  table: string;
  displayName?: string | undefined;
  description?: string | undefined;
  /** By the property of the column. */
  columns: { column: string; displayName?: string | undefined; description?: string | undefined }[];
}

/** The labels of choice columns, and the names of tables and columns. */
export interface Labels {
  /** The organisation's base language, if Dataverse provides it. */
  language?: number;
  choices: Choice[];
  /** Of the tables whose definitions could be read. Absent from earlier versions. */
  names?: TableNames[];
  /** Choice columns for which Dataverse has no labels: logical names of the table and the column's property. */
  unlabelled?: { table: string; column: string }[];
}

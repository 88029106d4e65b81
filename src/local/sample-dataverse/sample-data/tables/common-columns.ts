import type { Column } from '../../metadata/model.ts';
import { choiceColumn, columns, lookupColumn, type TableSpec } from '../../metadata/model-builder.ts';
import type { RowGenerator } from '../../rows/row-plan.ts';
import type { Business } from '../business.ts';

/** A table of the sample. Without `rows`, the types and names of the columns decide about values. */
export interface SampleTable {
  spec: TableSpec;
  /** Limits the rows of a table that is small in any organization. */
  mostRows?: number;
  rows?: (business: Business) => RowGenerator;
}

/** The columns that every owned table has. */
export function owned(stateColumns: Column[] = state()): Column[] {
  return [
    ...stamped(),
    lookupColumn('ownerid', [['principal', 'ownerid']]),
    lookupColumn('owninguser', [['systemuser', 'owninguser']]),
    lookupColumn('owningteam', [['team', 'owningteam']]),
    lookupColumn('owningbusinessunit', [['businessunit', 'owningbusinessunit']]),
    ...stateColumns,
  ];
}

export function stamped(): Column[] {
  return [
    ...columns({ createdon: 'datetime!', modifiedon: 'datetime!', versionnumber: 'int64!' }),
    lookupColumn('createdby', [['systemuser', 'createdby']]),
    lookupColumn('modifiedby', [['systemuser', 'modifiedby']]),
  ];
}

function state(): Column[] {
  return [
    choiceColumn('statecode', 'state', [
      [0, 'Active'],
      [1, 'Inactive'],
    ]),
    choiceColumn('statuscode', 'status', [
      [1, 'Active', 0],
      [2, 'Inactive', 1],
    ]),
  ];
}

/** The sources of contacts and leads. */
export const leadSources = [
  [1, 'Advertisement'],
  [2, 'Employee Referral'],
  [3, 'External Referral'],
  [6, 'Seminar “Print & Élan”'],
  [7, 'Trade Show'],
  [8, 'Web'],
  [9, 'Word of Mouth'],
] as const;

export const leadSourceShares = [
  { value: 8, weight: 38 },
  { value: 7, weight: 21 },
  { value: 9, weight: 12 },
  { value: 1, weight: 10 },
  { value: 3, weight: 9 },
  { value: 2, weight: 6 },
  { value: 6, weight: 4 },
];

import type { Column, Model } from './model.ts';
import { choiceColumn, columns, lookupColumn, type TableSpec, tablesFromSpecs } from './model-builder.ts';

const sourceChoice = [
  [1, 'Advertisement'],
  [2, 'Employee Referral'],
  [3, 'External Referral'],
  [8, 'Web — “élan”'],
] as const;

/** The columns that every owned table has. */
function owned(): Column[] {
  return [
    ...stamped(),
    lookupColumn('ownerid', [['principal', 'ownerid']]),
    lookupColumn('owninguser', [['systemuser', 'owninguser']]),
    lookupColumn('owningteam', [['team', 'owningteam']]),
    lookupColumn('owningbusinessunit', [['businessunit', 'owningbusinessunit']]),
    ...state(),
  ];
}

function stamped(): Column[] {
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

/** Column names that are words elsewhere: a careless query builder trips over them. */
const awkwardNames = ['action', 'offset', 'query', 'order', 'group', 'select', 'index', 'values', 'from'];

function wideColumns(): Column[] {
  const types = ['text', 'int', 'bool', 'decimal', 'double', 'datetime', 'date', 'int64', 'guid', 'memo'];
  const spec: Record<string, string> = {};
  for (const name of awkwardNames) spec[name] = 'text';
  for (let i = 1; i <= 310; i++) spec[`new_field${String(i).padStart(3, '0')}`] = types[i % types.length]!;
  return columns(spec);
}

const specs: TableSpec[] = [
  {
    name: 'organization',
    set: 'organizations',
    primaryName: 'name',
    columns: [
      ...columns({
        organizationid: 'id',
        name: 'text',
        languagecode: 'int',
        expirechangetrackingindays: 'int',
        isauditenabled: 'bool',
      }),
      ...stamped(),
    ],
  },
  {
    name: 'businessunit',
    set: 'businessunits',
    primaryName: 'name',
    columns: [
      ...columns({ businessunitid: 'id', name: 'text', costcenter: 'text', isdisabled: 'bool' }),
      ...stamped(),
      lookupColumn('parentbusinessunitid', [['businessunit', 'parentbusinessunitid']]),
    ],
    weight: 0.002,
  },
  {
    name: 'transactioncurrency',
    set: 'transactioncurrencies',
    primaryName: 'currencyname',
    columns: [
      ...columns({
        transactioncurrencyid: 'id',
        currencyname: 'text',
        isocurrencycode: 'text:5',
        currencysymbol: 'text:10',
        exchangerate: 'decimal:28:12',
        entityimage: 'binary',
      }),
      ...stamped(),
    ],
    weight: 0.001,
  },
  { name: 'principal', abstract: true, key: 'ownerid', columns: columns({ ownerid: 'id' }) },
  {
    name: 'systemuser',
    set: 'systemusers',
    base: 'principal',
    primaryName: 'fullname',
    tracked: true,
    columns: [
      ...columns({
        systemuserid: 'id',
        fullname: 'text',
        domainname: 'text:1024',
        internalemailaddress: 'text',
        isdisabled: 'bool',
        applicationid: 'guid',
        organizationid: 'guid!',
        address1_latitude: 'double',
      }),
      ...stamped(),
      lookupColumn('businessunitid', [['businessunit', 'businessunitid']]),
      lookupColumn('parentsystemuserid', [['systemuser', 'parentsystemuserid']]),
    ],
    weight: 0.01,
  },
  {
    name: 'team',
    set: 'teams',
    base: 'principal',
    primaryName: 'name',
    tracked: true,
    columns: [
      ...columns({ teamid: 'id', name: 'text', description: 'memo', isdefault: 'bool' }),
      ...stamped(),
      choiceColumn('teamtype', 'choice', [
        [0, 'Owner'],
        [1, 'Access'],
        [2, 'Security Group'],
      ]),
      lookupColumn('administratorid', [['systemuser', 'administratorid']]),
      lookupColumn('businessunitid', [['businessunit', 'businessunitid']]),
    ],
    weight: 0.005,
  },
  {
    name: 'account',
    set: 'accounts',
    primaryName: 'name',
    tracked: true,
    columns: [
      ...columns({
        accountid: 'id',
        name: 'text',
        accountnumber: 'text:20',
        description: 'memo',
        emailaddress1: 'text',
        telephone1: 'text:50',
        websiteurl: 'text:200',
        address1_city: 'text',
        address1_line1: 'text:250',
        address1_postalcode: 'text:20',
        address1_latitude: 'double',
        address1_longitude: 'double',
        address1_addressid: 'guid',
        revenue: 'money',
        revenue_base: 'money:10!',
        creditlimit: 'money',
        exchangerate: 'decimal:28:12',
        numberofemployees: 'int',
        creditonhold: 'bool',
        donotemail: 'bool',
        lastusedincampaign: 'datetime',
        new_founded: 'date',
        entityimage: 'binary',
        entityimageid: 'guid!',
        new_contract: 'file',
        new_contract_name: 'text!',
      }),
      ...owned(),
      choiceColumn('industrycode', 'choice', [
        [1, 'Accounting'],
        [2, 'Agriculture and Non-petrol Natural Resource Extraction'],
        [33, 'Wholesale & “Retail”'],
      ]),
      choiceColumn('new_regions', 'multichoice', [
        [100000000, 'North'],
        [100000001, 'South'],
        [100000002, 'Ελλάδα'],
        [100000003, '日本'],
      ]),
      lookupColumn('primarycontactid', [['contact', 'primarycontactid']]),
      lookupColumn('parentaccountid', [['account', 'parentaccountid']]),
      lookupColumn('transactioncurrencyid', [['transactioncurrency', 'transactioncurrencyid']]),
    ],
    keys: [{ name: 'new_accountnumber_key', columns: ['accountnumber'] }],
    weight: 0.2,
  },
  {
    name: 'contact',
    set: 'contacts',
    primaryName: 'fullname',
    tracked: true,
    columns: [
      ...columns({
        contactid: 'id',
        fullname: 'text',
        firstname: 'text:50',
        lastname: 'text:50',
        emailaddress1: 'text',
        description: 'memo',
        birthdate: 'date',
        annualincome: 'money',
        numberofchildren: 'int',
        donotphone: 'bool',
        address1_city: 'text',
        new_loyaltynumber: 'int64',
      }),
      ...owned(),
      choiceColumn('familystatuscode', 'choice', [
        [1, 'Single'],
        [2, 'Married'],
        [3, 'Divorced'],
        [4, 'Widowed'],
      ]),
      choiceColumn('leadsourcecode', 'choice', sourceChoice),
      lookupColumn('parentcustomerid', [
        ['account', 'parentcustomerid_account'],
        ['contact', 'parentcustomerid_contact'],
      ]),
      lookupColumn('transactioncurrencyid', [['transactioncurrency', 'transactioncurrencyid']]),
    ],
    keys: [{ name: 'new_email_key', columns: ['emailaddress1'] }],
    weight: 0.25,
  },
  {
    name: 'lead',
    set: 'leads',
    primaryName: 'fullname',
    columns: [
      ...columns({
        leadid: 'id',
        fullname: 'text',
        subject: 'text:300',
        companyname: 'text',
        estimatedamount: 'money',
        description: 'memo',
        decisionmaker: 'bool',
      }),
      ...owned(),
      choiceColumn('leadsourcecode', 'choice', sourceChoice),
      lookupColumn('customerid', [
        ['account', 'customerid_account'],
        ['contact', 'customerid_contact'],
      ]),
    ],
    weight: 0.08,
  },
  {
    name: 'activitypointer',
    set: 'activitypointers',
    abstract: true,
    key: 'activityid',
    primaryName: 'subject',
    tracked: true,
    columns: [
      ...columns({
        activityid: 'id',
        activitytypecode: 'text:64!',
        subject: 'text:200',
        description: 'memo',
        scheduledend: 'datetime',
        actualdurationminutes: 'int',
        isbilled: 'bool',
      }),
      ...owned(),
      lookupColumn('regardingobjectid', [
        ['account', 'regardingobjectid_account'],
        ['contact', 'regardingobjectid_contact'],
        ['lead', 'regardingobjectid_lead'],
      ]),
    ],
  },
  {
    name: 'email',
    set: 'emails',
    base: 'activitypointer',
    primaryName: 'subject',
    tracked: true,
    columns: columns({
      messageid: 'text:320',
      trackingtoken: 'text:50',
      attachmentcount: 'int',
      lastopenedtime: 'datetime',
    }),
    weight: 0.12,
  },
  {
    name: 'task',
    set: 'tasks',
    base: 'activitypointer',
    primaryName: 'subject',
    columns: columns({ category: 'text:250', percentcomplete: 'int', crmtaskassigneduniqueid: 'guid' }),
    weight: 0.08,
  },
  {
    name: 'new_campaign',
    set: 'new_campaigns',
    primaryName: 'new_name',
    tracked: true,
    columns: [
      ...columns({
        new_campaignid: 'id',
        new_name: 'text',
        new_budget: 'money',
        new_startson: 'date',
        new_reach: 'int64',
      }),
      ...owned(),
      lookupColumn('new_customerid', [
        ['account', 'new_customerid_account'],
        ['contact', 'new_customerid_contact'],
      ]),
    ],
    weight: 0.03,
  },
  {
    name: 'new_box',
    set: 'new_boxes',
    primaryName: 'new_name',
    columns: [
      ...columns({ new_boxid: 'id', new_name: 'text', new_weight: 'decimal:10:3', new_notes: 'memo' }),
      ...owned(),
      lookupColumn('new_ParentBox', [['new_box', 'new_ParentBox']]),
      lookupColumn('new_Account', [['account', 'new_Account']]),
    ],
    weight: 0.05,
  },
  {
    name: 'new_shipmentline',
    set: 'new_shipmentlineset',
    primaryName: 'new_name',
    columns: [
      ...columns({ new_shipmentlineid: 'id', new_name: 'text', new_quantity: 'int', new_price: 'money' }),
      lookupColumn('new_Box', [['new_box', 'new_Box']]),
    ],
    weight: 0.04,
  },
  {
    name: 'new_ledgerentry',
    set: 'new_ledgerentries',
    primaryName: 'new_name',
    tracked: true,
    columns: [
      ...columns({
        new_ledgerentryid: 'id',
        new_name: 'text',
        new_amount: 'money',
        new_rate: 'decimal:28:12',
        new_serial: 'int64',
        new_ratio: 'double',
        new_small: 'int16',
        new_bookedon: 'date',
      }),
      ...stamped(),
      lookupColumn('new_account', [['account', 'new_Account']]),
    ],
    weight: 0.03,
  },
  {
    name: 'new_widerecord',
    set: 'new_widerecords',
    primaryName: 'new_name',
    columns: [...columns({ new_widerecordid: 'id', new_name: 'text' }), ...owned(), ...wideColumns()],
    weight: 0.02,
  },
  {
    name: 'webresource',
    set: 'webresourceset',
    primaryName: 'name',
    columns: [
      ...columns({
        webresourceid: 'id',
        name: 'text:256',
        content: 'memo',
        ismanaged: 'bool!',
        iscustomizable: 'managed',
        canbedeleted: 'managed',
        ishidden: 'managed',
      }),
      ...stamped(),
    ],
    weight: 0.01,
  },
  {
    name: 'new_surveyresponse',
    set: 'new_surveyresponsecollection',
    primaryName: 'new_name',
    columns: [
      ...columns({
        new_surveyresponseid: 'id',
        new_name: 'text',
        new_comment: 'memo',
        new_tags: 'strings',
        new_scores: 'ints',
        new_signature: 'binary',
        new_startsat: 'time',
      }),
      ...owned(),
      lookupColumn('new_contact', [['contact', 'new_Contact']]),
    ],
    weight: 0.02,
  },
  {
    name: 'apex_campaignmetrics',
    set: 'apex_campaignmetricses',
    primaryName: 'apex_campaignid',
    tracked: true,
    columns: [
      ...columns({
        apex_campaignmetricsid: 'id',
        apex_campaignid: 'text:64',
        apex_runid: 'text:64',
        apex_phase: 'text:16',
        apex_agentstotal: 'int',
        apex_agentssuccessful: 'int',
        apex_assetsgenerated: 'int',
        apex_tokensin: 'int',
        apex_tokensout: 'int',
        apex_latencyp95ms: 'int',
        apex_latencyavgms: 'int',
        apex_costusd: 'decimal:10:5',
        apex_successrate: 'decimal:5:2',
        apex_createdat: 'datetime',
      }),
      ...owned(),
    ],
    keys: [{ name: 'apex_campaignrunphase', columns: ['apex_campaignid', 'apex_runid', 'apex_phase'] }],
    weight: 0.005,
  },
  {
    name: 'stringmap',
    set: 'stringmaps',
    columns: columns({
      stringmapid: 'id',
      objecttypecode: 'text:64',
      attributename: 'text:100',
      attributevalue: 'int',
      value: 'text:4000',
      langid: 'int',
      displayorder: 'int',
      versionnumber: 'int64!',
    }),
  },
  {
    name: 'teammembership',
    set: 'teammemberships',
    intersect: [
      ['systemuser', 'systemuserid', 'teammembership_association'],
      ['team', 'teamid', 'teammembership_association'],
    ],
    weight: 0.01,
  },
  {
    name: 'accountleads',
    set: 'accountleadscollection',
    intersect: [
      ['account', 'accountid', 'accountleads_association'],
      ['lead', 'leadid', 'accountleads_association'],
    ],
    idColumn: 'accountleadid',
    weight: 0.02,
  },
  {
    name: 'new_account_new_campaign',
    set: 'new_account_new_campaignset',
    intersect: [
      ['account', 'accountid', 'new_account_new_campaign'],
      ['new_campaign', 'new_campaignid', 'new_account_new_campaign'],
    ],
    weight: 0.03,
  },
];

/** The sample's own organisation: 24 tables with every kind of column and relationship that Dataverse has. */
export function sampleModel(options: { campaignMetrics: boolean }): {
  model: Model;
  weights: Map<string, number>;
} {
  const wanted = specs.filter((spec) => options.campaignMetrics || spec.name !== 'apex_campaignmetrics');
  return {
    model: tablesFromSpecs(wanted),
    weights: new Map(wanted.flatMap((spec) => (spec.weight === undefined ? [] : [[spec.name, spec.weight]]))),
  };
}

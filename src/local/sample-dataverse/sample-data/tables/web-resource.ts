import { columns } from '../../metadata/model-builder.ts';
import { day, momentAfter } from '../../rows/moments.ts';
import { type SampleTable, stamped } from './common-columns.ts';

const subjects = [
  ...['account', 'contact', 'lead', 'campaign', 'box', 'shipment', 'ledger', 'survey', 'invoice', 'quote'],
  ...['order', 'catalogue', 'partner', 'event', 'budget', 'price-list'],
];
const kinds = [
  ...['scripts/{}.form.js', 'scripts/{}.ribbon.js', 'scripts/{}.grid.js', 'scripts/{}.api.js'],
  ...['pages/{}-overview.html', 'pages/{}-import.html', 'pages/{}-help.html', 'styles/{}.css'],
  ...['icons/{}.svg', 'icons/{}-16.svg', 'icons/{}-32.svg', 'images/{}-banner.svg', 'data/{}-settings.xml'],
];

const contents: Record<string, (name: string) => string> = {
  js: (name) =>
    `// ${name}\nfunction onLoad(context) {\n  const form = context.getFormContext();\n  form.getControl("name").setFocus();\n}\n`,
  css: () =>
    ':root { --brand: #0f4c81; --accent: #f2a900; }\nbody { font: 14px/1.4 "Segoe UI", sans-serif; }\n',
  html: (name) => `<!DOCTYPE html>\n<title>${name}</title>\n<main id="chart"></main>\n`,
  xml: (name) => `<?xml version="1.0"?>\n<settings source="${name}" cacheMinutes="15" />\n`,
  svg: () => '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path d="M2 4h12v9H2z"/></svg>',
};

export const webResource: SampleTable = {
  spec: {
    name: 'webresource',
    set: 'webresourceset',
    displayName: 'Web Resource',
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
  rows: (business) => (index, random) => {
    const kind = kinds[Math.floor(index / subjects.length) % kinds.length]!;
    const round = Math.floor(index / (subjects.length * kinds.length));
    const folder = round === 0 ? 'new_' : `new_${round + 1}`;
    const name = `${folder}/${kind.replace('{}', subjects[index % subjects.length]!)}`;
    const isManaged = random.chance(0.4);
    return {
      ...business.stamps(momentAfter(business.now - 1100 * day, 300, business.now, random), random),
      name,
      content: Buffer.from(contents[kind.split('.').at(-1)!]!(name)).toString('base64'),
      ismanaged: isManaged,
      iscustomizable: managedProperty('iscustomizable', !isManaged),
      canbedeleted: managedProperty('canbedeleted', !isManaged),
      ishidden: managedProperty('ishidden', false),
    };
  },
};

function managedProperty(name: string, value: boolean) {
  return { json: { Value: value, CanBeChanged: true, ManagedPropertyLogicalName: name } };
}

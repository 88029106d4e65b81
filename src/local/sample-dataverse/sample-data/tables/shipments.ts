import { columns, lookupColumn } from '../../metadata/model-builder.ts';
import { day } from '../../rows/moments.ts';
import { products } from '../words/texts.ts';
import { owned, type SampleTable } from './common-columns.ts';

const deliveryNotes = [
  'Deliver to the loading dock, Monday to Friday, 8:00–16:00.',
  'Fragile: LED panels. Keep upright.',
  'Call the reception 30 minutes before arrival.',
  'Event material: must arrive before the fair opens.',
  'Part 1 of 2; the rest follows with the next truck.',
  'Leave with the neighbour if nobody answers.',
  'Pallet exchange: 1 × EUR.',
];

const boxesPerPallet = 12;

/** A box, or a pallet of boxes. */
export const box: SampleTable = {
  spec: {
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
  rows: (business) => (index, random) => {
    const created = business.timeline('new_box')[index]!;
    const account = random.chance(0.08) ? undefined : business.accountAt(created, random);
    const pallet = index - (index % boxesPerPallet);
    const isPallet = index === pallet;
    const delivered = business.now - created > 21 * day || random.chance(0.5);
    const year = new Date(created).getUTCFullYear();
    return {
      ...business.stamps(created, random),
      new_name: `${isPallet ? 'Pallet' : 'Box'} ${year}-${10_001 + index}`,
      new_weight: isPallet ? 80 + 340 * random.fraction() : Math.min(31.5, 0.4 + random.exponential(7)),
      new_notes: random.chance(0.55) ? null : random.pick(deliveryNotes),
      statecode: delivered ? 1 : 0,
      statuscode: delivered ? 2 : 1,
      _new_parentbox_value: isPallet || random.chance(0.5) ? null : business.lookup('new_box', pallet),
      _new_account_value: business.lookup('account', account),
    };
  },
};

export const shipmentLine: SampleTable = {
  spec: {
    name: 'new_shipmentline',
    set: 'new_shipmentlineset',
    displayName: 'Shipment line',
    primaryName: 'new_name',
    columns: [
      ...columns({ new_shipmentlineid: 'id', new_name: 'text', new_quantity: 'int', new_price: 'money' }),
      lookupColumn('new_Box', [['new_box', 'new_Box']]),
    ],
    weight: 0.04,
  },
  rows: (business) => (_, random) => {
    const { name, price } = random.pick(products);
    // Customers order more of cheap products. There is a discount from ten pieces on.
    const quantity = Math.max(1, Math.round(random.exponential(Math.min(120, 900 / price))));
    const discount = quantity < 10 ? 0 : quantity < 50 ? 0.05 : 0.1;
    return {
      new_name: name,
      new_quantity: quantity,
      new_price: quantity * price * (1 - discount),
      _new_box_value: random.chance(0.06) ? null : business.anyOf('new_box', random),
    };
  },
};

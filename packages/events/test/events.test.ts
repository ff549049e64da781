/**
 * Goal: what was ever published can still be read, and nothing that breaks a schema gets in.
 * Method: each golden file is decoded; each field is then taken away and spoilt in turn.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import {
  decodeEvent,
  type EventType,
  eventDefinitions,
  eventTypes,
  parseEvent,
} from '../src/index.ts';
import { eventFilter, eventSubject } from '../src/index.ts';

const golden = join(import.meta.dirname, '../golden');
const files = readdirSync(golden);
const read = (file: string) => JSON.parse(readFileSync(join(golden, file), 'utf8')) as Json;
type Json = { type: EventType; workspaceid: string; data: Record<string, unknown> } & Record<
  string,
  unknown
>;

await t.test('every shape ever published can be read', (t) => {
  for (const file of files) {
    const decoded = parseEvent(readFileSync(join(golden, file), 'utf8'));
    t.ok(decoded.ok, `${file}: ${decoded.ok ? 'read' : decoded.problem}`);
  }
  t.end();
});

await t.test('every event type has a golden file of its present version', (t) => {
  const wanted = eventTypes.map((type) => `${type}.v${eventDefinitions[type].version}.json`);
  t.same(
    wanted.filter((file) => !files.includes(file)),
    [],
  );
  t.end();
});

await t.test('a missing field that is required, and any spoilt one, is refused by name', (t) => {
  for (const file of files) {
    const event = read(file);
    for (const field of Object.keys(event.data)) {
      const { [field]: _taken, ...rest } = event.data;
      const isRequired = eventDefinitions[event.type].data.required.some((name) => name === field);
      const missing = decodeEvent({ ...event, data: rest });
      t.equal(missing.ok, !isRequired, `${event.type} without ${field}`);
      const spoilt = decodeEvent({ ...event, data: { ...event.data, [field]: Symbol.iterator } });
      t.notOk(spoilt.ok, `${event.type} with a symbol as ${field}`);
      t.match(spoilt.ok ? '' : spoilt.problem, `/data/${field}`);
    }
  }
  t.end();
});

await t.test('only optional fields were added to a shape once published', (t) => {
  for (const file of files) {
    const { type, data } = read(file);
    const first = read(`${type}.v${eventDefinitions[type].version}.json`);
    for (const field of Object.keys(data).filter((name) => !(name in first.data)))
      t.notOk(eventDefinitions[type].data.required.includes(field as never), `${type}.${field}`);
  }
  t.end();
});

await t.test('fields that this version does not know are kept', (t) => {
  const event = read('ClickTracked.v1.json');
  const decoded = decodeEvent({ ...event, data: { ...event.data, addedLater: 1 } });
  t.ok(decoded.ok);
  t.match(decoded, { value: { data: { addedLater: 1 } } });
  t.end();
});

await t.test('unknown types and junk are refused, not thrown', (t) => {
  for (const junk of [null, 1, 'x', [], {}, { type: 'ClickInvented' }, { type: 'toString' }]) {
    t.notOk(decodeEvent(junk).ok);
  }
  t.notOk(parseEvent('{').ok);
  t.end();
});

await t.test('a subject names workspace, aggregate and type, nothing personal', (t) => {
  const event = read('PaymentPaid.v1.json');
  t.equal(eventSubject(event), 'events.demo.payment.PaymentPaid');
  t.equal(eventFilter('PaymentPaid'), 'events.*.payment.PaymentPaid');
  t.end();
});

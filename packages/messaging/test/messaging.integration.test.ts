/**
 * Goal: what is published arrives, at least once and in order per journey, whatever is killed.
 * Method: a real NATS server that is killed, wiped and started again under real consumers.
 */
import assert from 'node:assert/strict';
import { headers } from '@nats-io/transport-node';
import { type RastroEvent } from '@rastro/events';
import { newId } from '@rastro/runtime';
import { eventually, sampleEvent, startTestServers } from '@rastro/testing';
import t, { type Test } from 'tap';
import {
  ensureStreams,
  listDeadLetters,
  type Nats,
  publishEvent,
  replayDeadLetter,
  type Settlement,
  subscribe,
  subscribeBatch,
  TopologyError,
} from '../src/index.ts';
import { connectedTo } from './connected.ts';

const servers = await startTestServers({ nats: true });
t.teardown(() => servers[Symbol.asyncDispose]());

const connected = connectedTo(servers);

/** A consumer under a name of its own that keeps what it handled. */
async function collect(
  t: Test,
  nats: Nats,
  settle: (event: RastroEvent<'PaymentPaid'>, seen: number) => Settlement = () => 'ack',
) {
  const handled: RastroEvent<'PaymentPaid'>[] = [];
  const subscription = await subscribe(nats, {
    service: 'test',
    purpose: `p${newId().slice(-12)}`,
    stream: 'COMMERCE',
    types: ['PaymentPaid'],
    handle: async (event) => {
      handled.push(event);
      return settle(event, handled.filter(({ id }) => id === event.id).length);
    },
  });
  t.teardown(() => subscription[Symbol.asyncDispose]());
  return { handled, has: (event: RastroEvent) => untilHandled(handled, event) };
}

const untilHandled = (handled: RastroEvent[], event: RastroEvent) =>
  eventually(
    () => {
      if (!handled.some(({ id }) => id === event.id)) throw new Error('not handled');
    },
    { timeoutMs: 40_000 },
  );

await t.test('streams are provisioned by several at once, and a diff is applied', async (t) => {
  const nats = await connected(t);
  await Promise.all([ensureStreams(nats), ensureStreams(nats), ensureStreams(nats)]);
  await nats.jsm.streams.update('TRAFFIC', { max_age: 0 });
  await ensureStreams(nats);
  const { config } = await nats.jsm.streams.info('TRAFFIC');
  t.equal(config.max_age, 30 * 24 * 3_600 * 1e9);
});

await t.test('an event published twice is one; a retry comes again; order is kept', async (t) => {
  const nats = await connected(t);
  const { handled, has } = await collect(t, nats, (_event, seen) =>
    seen === 1 ? { retryInMs: 50 } : 'ack',
  );
  const event = sampleEvent('PaymentPaid');
  await publishEvent(nats, event);
  await publishEvent(nats, event);
  await has(event);
  await eventually(() => assert.equal(handled.length, 2));
});

await t.test('a handler that throws is given the message again, the others go on', async (t) => {
  const nats = await connected(t);
  const bad = sampleEvent('PaymentPaid');
  const good = sampleEvent('PaymentPaid', { trackingToken: null });
  const { handled, has } = await collect(t, nats, (event, seen) => {
    if (event.id === bad.id && seen === 1) throw new Error('first time');
    return 'ack';
  });
  await publishEvent(nats, bad);
  await publishEvent(nats, good);
  await has(good);
  await eventually(() => {
    if (handled.filter(({ id }) => id === bad.id).length < 2) throw new Error('not again yet');
  });
});

await t.test(
  'what cannot be read or handled is put aside with its reason, and can be replayed',
  async (t) => {
    const nats = await connected(t);
    let isMended = false;
    const event = sampleEvent('PaymentPaid');
    const { handled } = await collect(t, nats, (given) =>
      given.id === event.id && !isMended ? { deadLetter: 'no such pool\nsecond line' } : 'ack',
    );
    const other = await collect(t, nats);
    await nats.js.publish('events.demo.payment.PaymentPaid', '{"type":"PaymentPaid"');
    await publishEvent(nats, event);
    const letters = await eventually(async () => {
      const found = await listDeadLetters(nats);
      if (found.length < 3) throw new Error(`${found.length} dead letters`);
      return found;
    });
    t.equal(
      letters.filter(({ reason }) => reason.includes('not JSON')).length,
      2,
      'one per consumer',
    );
    const refused = letters.find(({ reason }) => reason === 'no such pool second line');
    t.match(refused, { originalSubject: 'events.demo.payment.PaymentPaid', deliveries: 1 });
    if (!refused) return;
    isMended = true;
    await replayDeadLetter(nats, refused);
    await eventually(() => {
      if (handled.filter(({ id }) => id === event.id).length < 2) throw new Error('not replayed');
    });
    const marker = sampleEvent('PaymentPaid');
    await publishEvent(nats, marker);
    await other.has(marker);
    const times = other.handled.filter(({ id }) => id === event.id).length;
    t.equal(times, 1, 'the consumer that had no trouble is left alone');
    t.equal((await listDeadLetters(nats)).length, 2);
  },
);

await t.test(
  'SIGKILL of the server: nothing acknowledged is lost, consuming goes on by itself',
  async (t) => {
    const nats = await connected(t);
    const { handled, has } = await collect(t, nats);
    const before = sampleEvent('PaymentPaid');
    await publishEvent(nats, before);
    await servers.nats.kill();
    const during = sampleEvent('PaymentPaid');
    await t.rejects(publishEvent(nats, during), 'an unknown outcome is an error, never a success');
    await servers.nats.start();
    await eventually(() => publishEvent(nats, during), { timeoutMs: 40_000 });
    await has(before);
    await has(during);
    t.equal(new Set(handled.map(({ id }) => id)).size >= 2, true);
  },
);

await t.test('a deleted consumer, and a deleted stream, are provisioned again', async (t) => {
  const nats = await connected(t);
  const { has } = await collect(t, nats);
  for await (const { name } of nats.jsm.consumers.list('COMMERCE')) {
    await nats.jsm.consumers.delete('COMMERCE', name);
  }
  const first = sampleEvent('PaymentPaid');
  await publishEvent(nats, first);
  await has(first);
  await nats.jsm.streams.delete('COMMERCE');
  const second = sampleEvent('PaymentPaid');
  await eventually(() => publishEvent(nats, second), { timeoutMs: 40_000 });
  await has(second);
});

await t.test('disposing of a subscription finishes what was delivered', async (t) => {
  const nats = await connected(t);
  let finished = 0;
  const started = Promise.withResolvers<void>();
  const subscription = await subscribe(nats, {
    service: 'test',
    purpose: 'drain',
    stream: 'COMMERCE',
    types: ['PaymentExpired'],
    handle: async () => {
      started.resolve();
      await new Promise((resolve) => setTimeout(resolve, 200));
      finished += 1;
      return 'ack';
    },
  });
  await publishEvent(nats, sampleEvent('PaymentExpired'));
  await started.promise;
  await subscription[Symbol.asyncDispose]();
  t.equal(finished, 1);
  const { num_ack_pending } = await nats.jsm.consumers.info('COMMERCE', 'test__drain');
  t.equal(num_ack_pending, 0);
});

await t.test('batches are handled whole, and again after a throw', async (t) => {
  const nats = await connected(t);
  const sizes: number[] = [];
  const ids = new Set<string>();
  const subscription = await subscribeBatch(nats, {
    service: 'test',
    purpose: 'batch',
    stream: 'TRAFFIC',
    filterSubjects: ['events.>'],
    maxBatch: 50,
    lingerMs: 20,
    handle: async (events) => {
      sizes.push(events.length);
      if (sizes.length === 1) throw new Error('the database hiccups');
      for (const { id } of events) ids.add(id);
    },
  });
  t.teardown(() => subscription[Symbol.asyncDispose]());
  await Promise.all(
    Array.from({ length: 200 }, () => publishEvent(nats, sampleEvent('ClickTracked'))),
  );
  await eventually(
    () => {
      if (ids.size < 200) throw new Error(`${ids.size} of 200`);
    },
    { timeoutMs: 30_000 },
  );
  t.ok(Math.max(...sizes) > 1, 'there was a batch');
  t.ok(sizes.every((size) => size <= 50));
});

await t.test(
  'a setting that cannot be changed in place is named, and nothing is touched',
  async (t) => {
    const nats = await connected(t);
    await nats.jsm.streams.delete('DEAD');
    await nats.jsm.streams.add({ name: 'DEAD', subjects: ['dead.>'], storage: 'memory' });
    await t.rejects(ensureStreams(nats), TopologyError);
    await t.rejects(ensureStreams(nats), /Stream DEAD.*storage is "memory", wanted "file"/);
    await nats.jsm.streams.delete('DEAD');
    await ensureStreams(nats);
  },
);

await t.test('a message meant for another consumer by replay is passed by', async (t) => {
  const nats = await connected(t);
  const { handled, has } = await collect(t, nats);
  const h = headers();
  h.set('x-replay-for', 'somebody__else');
  const skipped = sampleEvent('PaymentPaid');
  await nats.js.publish('events.demo.payment.PaymentPaid', JSON.stringify(skipped), { headers: h });
  const marker = sampleEvent('PaymentPaid');
  await publishEvent(nats, marker);
  await has(marker);
  t.notOk(handled.some(({ id }) => id === skipped.id));
});

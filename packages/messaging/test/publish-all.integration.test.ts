/**
 * Goal: messages that are published together are stored in order and once, whatever of them was
 * there before, also when the server dies or takes no batches.
 * Method: a real NATS server that is killed between batches; its stream counted and read back.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { eventSubject, type RastroEvent } from '@rastro/events';
import { eventually, sampleEvent, startTestServers } from '@rastro/testing';
import t from 'tap';
import { ensureStreams, type Nats, publishAll } from '../src/index.ts';
import { connectedTo } from './connected.ts';

const servers = await startTestServers({ nats: true });
t.teardown(() => servers[Symbol.asyncDispose]());

const connected = connectedTo(servers);

const publicationOf = (event: RastroEvent) => ({
  subject: eventSubject(event),
  id: event.id,
  payload: JSON.stringify(event),
});
type Publication = ReturnType<typeof publicationOf>;

/** A server that is slow to answer, or away, makes an unknown outcome: then all are told again. */
const publish = (nats: Nats, publications: Publication[]): Promise<void> =>
  eventually(() => publishAll(nats, publications), { timeoutMs: 40_000, intervalMs: 100 });

const clicks = (count: number): RastroEvent[] =>
  Array.from({ length: count }, () => sampleEvent('ClickTracked'));

await t.test('a batch is stored whole and once, whatever of it was there before', async (t) => {
  const nats = await connected(t);
  const stored = async () => (await nats.jsm.streams.info('TRAFFIC')).state.messages;
  const events = clicks(1_500);
  const all = events.map(publicationOf);
  const before = await stored();
  await publish(nats, all.slice(0, 1_100));
  t.equal((await stored()) - before, 1_100, 'more than one batch may hold');
  await publish(nats, all.slice(1_000));
  await publish(nats, all.slice(0, 1));
  await publish(nats, []);
  t.equal((await stored()) - before, 1_500, 'a repeated part is not stored again');
  const consumer = await nats.js.consumers.get('TRAFFIC');
  const messages = await consumer.fetch({ max_messages: 1_500, expires: 30_000 });
  const ids: string[] = [];
  for await (const message of messages) {
    ids.push(message.json<RastroEvent>().id);
    if (ids.length === 1_500) break;
  }
  t.same(
    ids,
    events.map(({ id }) => id),
    'in their order',
  );

  await nats.jsm.streams.update('TRAFFIC', { allow_atomic: false });
  await publish(nats, clicks(2).map(publicationOf));
  t.equal((await stored()) - before, 1_502, 'a stream that takes no batches takes them one by one');
  await ensureStreams(nats);
  t.equal((await nats.jsm.streams.info('TRAFFIC')).config.allow_atomic, true);
});

await t.test('a server that dies under batches has each message once in the end', async (t) => {
  const nats = await connected(t);
  const before = (await nats.jsm.streams.info('TRAFFIC')).state.messages;
  const batches = Array.from({ length: 40 }, () => clicks(50).map(publicationOf));
  const restarting = (async () => {
    await delay(20);
    await servers.nats.kill();
    await servers.nats.start();
  })();
  const publishing = (async () => {
    for (const batch of batches) await publish(nats, batch);
  })();
  await Promise.all([restarting, publishing]);
  const { state } = await eventually(() => nats.jsm.streams.info('TRAFFIC'));
  t.equal(state.messages - before, 2_000);
});

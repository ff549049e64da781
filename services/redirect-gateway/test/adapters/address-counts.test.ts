/**
 * Goal: clicks from an address are counted over the burst window, in bounded memory, and nobody is
 * counted who has no public address; a user agent is judged once.
 * Method: the adapters with a clock made of numbers.
 */
import { agentFacts, burstWindowMs } from '@rastro/traffic';
import t from 'tap';
import { AddressCounts } from '../../src/adapters/address-counts.ts';
import { rememberedAgentFacts } from '../../src/adapters/agent-memory.ts';

const startMs = 1_762_902_353_123;
const [phone, other] = ['177.10.20.30', '177.10.20.31'];

function clicks(counts: AddressCounts, times: number, nowMs: number, address = phone): number {
  let seen = 0;
  for (let at = 0; at < times; at += 1) seen = counts.count(address, nowMs);
  return seen;
}

await t.test('a window slides', async (t) => {
  const counts = new AddressCounts();
  t.equal(clicks(counts, 100, startMs), 100);
  t.equal(counts.count(other, startMs), 1, 'each address by itself');
  t.equal(counts.count(phone, startMs + burstWindowMs - 1), 101);
  t.equal(counts.count(phone, startMs + burstWindowMs), 102, 'the next window begins');
  t.equal(counts.count(phone, startMs + 1.5 * burstWindowMs), 2 + 50, 'half of it is left');
  t.equal(counts.count(phone, startMs + 2 * burstWindowMs), 1 + 2);
  t.equal(counts.count(phone, startMs + 9 * burstWindowMs), 1, 'long ago');
  t.equal(counts.count(phone, startMs), 1, 'a clock that was set back');
});

await t.test('who has no public address is nobody, an IPv6 host is its /64', async (t) => {
  const counts = new AddressCounts();
  t.equal(counts.count(null, startMs), 0);
  t.equal(counts.count(null, startMs), 0);
  const sameHost = ['2804:14c:1:2::1', '2804:14c:1:2:a:b:c:d', '2804:14c:1:2::'];
  t.same(
    sameHost.map((address) => counts.count(address, startMs)),
    [1, 2, 3],
  );
  t.equal(counts.count('2804:14c:1:3::1', startMs), 1);
  t.equal(counts.count('2804:14c::1', startMs), 1);
  t.equal(counts.count('2804:14c::2', startMs), 2);
  t.equal(counts.count('2804::5:6:7:8:9', startMs), 1);
  t.equal(counts.count('2804:0:0:5:ffff::', startMs), 2, 'the same block, written out');
});

await t.test('memory has an end; who is known goes on being counted', async (t) => {
  const counts = new AddressCounts(2);
  clicks(counts, 5, startMs);
  counts.count(other, startMs);
  t.equal(clicks(counts, 5, startMs, '177.10.20.32'), 1, 'no room');
  t.equal(counts.count(phone, startMs), 6);
  t.equal(clicks(counts, 5, startMs + burstWindowMs, '177.10.20.32'), 5, 'room again');
});

await t.test('an agent is remembered as it was judged', async (t) => {
  const remembered = rememberedAgentFacts(2);
  for (const agent of ['Googlebot/2.1', 'WhatsApp/2.23', 'Mozilla/5.0 (iPhone)', 'Googlebot/2.1'])
    t.same(remembered(agent), agentFacts(agent), agent);
  t.equal(remembered('Googlebot/2.1'), remembered('Googlebot/2.1'));
});

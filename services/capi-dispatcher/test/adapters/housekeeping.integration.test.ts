/**
 * Goal: addresses and bodies leave the ledger after their days and nothing else does; records of
 * calls and messages go when nobody can ask for them.
 * Method: rows on either side of each limit, in a real Postgres, small batches, several sweeps.
 */
import { join } from 'node:path';
import { eventStoreMigrations } from '@rastro/event-store';
import { idAtTime, newId } from '@rastro/runtime';
import { migratedDatabase, startTestServers } from '@rastro/testing';
import t from 'tap';
import { sweep } from '../../src/adapters/housekeeping.ts';

await using stack = new AsyncDisposableStack();
const servers = stack.use(await startTestServers({ postgres: true }));
const folders = [
  eventStoreMigrations,
  { name: 'capi', path: join(import.meta.dirname, '../../migrations') },
];
const { sql } = stack.use(await migratedDatabase(servers, { schema: 'capi', folders }));

const nowMs = Date.now();
const dayMs = 86_400_000;
const signals = { fbp: null, fbc: null, clientIp: { value: '2804::1', atMs: 1 }, userAgent: null };
const journey = {
  click: { clientIp: '177.10.20.30', userAgent: 'Mozilla', fbclid: 'abc' },
  bridge: signals,
  delivery: null,
  telegramExternalId: null,
};

/** A journey with its PageView and its Purchase, all of that age. */
async function remember(name: string, ageDays: number): Promise<void> {
  const born = nowMs - ageDays * dayMs;
  const paymentId = newId();
  await sql`
    insert into journeys (tracking_token, workspace_id, journey)
    values (${name}, 'demo', ${sql.json(journey)})`;
  await sql`
    insert into orders (payment_id, workspace_id, tracking_token, viewed)
    values (${paymentId}, 'demo', ${name}, ${sql.json({ viewedAtMs: 1, ...signals })})`;
  // Ids of one moment are told apart by their last digits.
  const idOf = (digit: number): string => idAtTime(born + digit);
  for (const [digit, eventName, payment] of [
    [0, 'PageView', null],
    [1, 'Purchase', paymentId],
  ] as const) {
    await sql`
      insert into conversions (id, workspace_id, pixel_id, event_name, event_id, tracking_token,
        payment_id, state, due_at, event_time, body)
      values (${idOf(digit)}, 'demo', '1', ${eventName}, ${`${name} ${eventName}`}, ${name},
        ${payment}, 'accepted', now(), 1, '{}')`;
  }
}

async function kept(): Promise<Record<string, unknown>> {
  const rows = await sql<{ name: string; bodies: number; addresses: number; agents: number }[]>`
    select j.tracking_token as name,
      (select count(body)::int from conversions c where c.tracking_token = j.tracking_token) as bodies,
      (select count(*)::int from (values (j.journey#>>'{click,clientIp}'),
        (j.journey#>>'{bridge,clientIp,value}'), (o.viewed#>>'{clientIp,value}')) v(ip)
        where ip is not null) as addresses,
      (select count(*)::int where j.journey#>>'{click,userAgent}' = 'Mozilla'
        and j.journey#>>'{click,fbclid}' = 'abc') as agents
    from journeys j join orders o using (tracking_token) order by 1`;
  return Object.fromEntries(rows.map(({ name, ...rest }) => [name, rest]));
}

const whole = { bodies: 2, addresses: 3, agents: 1 };
const cleaned = { bodies: 0, addresses: 0, agents: 1 };

await t.test('addresses go after their days, and nothing else of a journey', async (t) => {
  await remember('older', 40);
  await remember('old', 31);
  await remember('new', 29);
  t.equal(await sweep(sql, { nowMs, ipDays: 0 }), 0);
  t.same(await kept(), { new: whole, old: whole, older: whole }, '0 days: never');
  t.equal(await sweep(sql, { nowMs, ipDays: 30, batch: 3 }), 4, 'in two batches');
  t.same(await kept(), { new: whole, old: cleaned, older: cleaned });
  t.equal(await sweep(sql, { nowMs, ipDays: 30, batch: 3 }), 0, 'goes on where it stopped');
  t.equal(await sweep(sql, { nowMs: nowMs + 2 * dayMs, ipDays: 30 }), 2);
  t.same((await kept())['new'], cleaned);
});

await t.test('records of calls and messages', async (t) => {
  const call = (days: number) => sql`
    insert into attempts (id, workspace_id, pixel_id, event_name, conversion_ids, started_at,
      duration_ms, outcome, request)
    values (${newId()}, 'demo', '1', 'PageView', '{}', now() - ${days} * interval '1 day', 1,
      'accepted', '{}')`;
  for (const days of [181, 179]) await call(days);
  for (const [consumer, days] of [
    ['capi-dispatcher__traffic', 36],
    ['capi-dispatcher__traffic', 34],
    ['capi-dispatcher__commerce', 400],
  ] as const) {
    const id = idAtTime(nowMs - days * dayMs);
    await sql`insert into inbox (consumer, message_id) values (${consumer}, ${id})`;
  }
  t.equal(await sweep(sql, { nowMs, ipDays: 30 }), 2);
  const left = await sql`select consumer from inbox order by 1`;
  t.same(
    left.map(({ consumer }) => consumer as string),
    ['capi-dispatcher__commerce', 'capi-dispatcher__traffic'],
    'COMMERCE is kept, so it may be delivered again after any time',
  );
});

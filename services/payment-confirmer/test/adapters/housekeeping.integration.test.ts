/**
 * Goal: old webhooks are deleted, and no others, also by a service that never runs for an hour; an
 * operator's question about some days does not read the charges of all years.
 * Method: rows on either side of the limit, and a query's plan, in a real Postgres.
 */
import { eventStoreMigrations } from '@rastro/event-store';
import { eventually, migratedDatabase, startTestServers } from '@rastro/testing';
import { join } from 'node:path';
import t from 'tap';
import { startHousekeeping, sweep } from '../../src/adapters/housekeeping.ts';

await using stack = new AsyncDisposableStack();
const servers = stack.use(await startTestServers({ nats: false, postgres: true }));
const folders = [
  eventStoreMigrations,
  { name: 'payments', path: join(import.meta.dirname, '../../migrations') },
];
const database = stack.use(await migratedDatabase(servers, { schema: 'payments', folders }));
const { sql } = database;
const webhookDays = 90;

await t.test('webhooks are kept for 90 days, in batches', async (t) => {
  await sql`
    insert into webhooks (account_id, webhook_id, kind, workspace_id, type, record, received_at)
    select 'pix-sandbox', 'old-' || n, 'standard-webhooks', 'demo', 'charge.paid', '{}',
      now() - interval '91 days' from generate_series(1, 5) as n`;
  await sql`
    insert into webhooks (account_id, webhook_id, kind, workspace_id, type, record, received_at)
    values ('pix-sandbox', 'new', 'standard-webhooks', 'demo', 'charge.paid', '{}',
      now() - interval '89 days')`;
  t.same(await sweep(sql, { webhookDays, batch: 2 }), [2, 2, 1]);
  const ids = async () => {
    const rows = await sql<{ id: string }[]>`
      select webhook_id as id from webhooks where webhook_id in ('new') or webhook_id like 'old-%'`;
    return rows.map(({ id }) => id);
  };
  t.same(await ids(), ['new']);
  // Stopping in the middle of the hour holds nothing up.
  const problems: unknown[] = [];
  const onError = (error: unknown) => void problems.push(error);
  await startHousekeeping({ sql, webhookDays, onError })[Symbol.asyncDispose]();
  t.same(problems, []);
  // A service that is started anew each hour sweeps all the same.
  await sql`update webhooks set received_at = now() - interval '91 days' where webhook_id = 'new'`;
  await using _ = startHousekeeping({ sql, webhookDays, onError, firstAfterMs: 50 });
  await eventually(async () => {
    if ((await ids()).length > 0) throw new Error('nothing was swept');
  });
  t.same(problems, []);
});

await t.test('the charges of some days can be found without reading all', async (t) => {
  const plan = await sql.begin(async (tx) => {
    // A table without rows is read as a whole, whatever its indexes.
    await tx`set local enable_seqscan = off`;
    return tx`
      explain select payment_id from charges
      where state = 'open' and created_at >= now() - interval '7 days'
      order by created_at, payment_id`;
  });
  t.match(JSON.stringify(plan), /charges_by_age/);
});

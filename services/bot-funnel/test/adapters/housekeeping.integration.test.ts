/**
 * Goal: what nobody asks for any more is deleted, and nothing else.
 * Method: one row on either side of each limit, in a real Postgres, and one sweep.
 */
import { eventStoreMigrations } from '@rastro/event-store';
import { newId } from '@rastro/runtime';
import { migratedDatabase, startTestServers } from '@rastro/testing';
import { join } from 'node:path';
import t from 'tap';
import { sweep } from '../../src/adapters/housekeeping.ts';

await using stack = new AsyncDisposableStack();
const servers = stack.use(await startTestServers({ postgres: true }));
const folders = [
  eventStoreMigrations,
  { name: 'funnel', path: join(import.meta.dirname, '../../migrations') },
];
const { sql } = stack.use(await migratedDatabase(servers, { schema: 'funnel', folders }));

await t.test('on either side of each limit', async (t) => {
  const [here, erased] = [newId(), newId()];
  await sql`
    insert into leads (lead_id, workspace_id, bot_id, telegram_user_id, erased_at) values
      (${here}, 'demo', 'bot-a', 1, null), (${erased}, 'demo', 'bot-a', null, now())`;
  await sql`
    insert into inbox (consumer, message_id, handled_at) values
      ('c', 'old', now() - interval '31 days'), ('c', 'new', now() - interval '29 days')`;
  await sql`
    insert into clicks (tracking_token, workspace_id, pool_id, bot_id, clicked_at) values
      ('old', 'demo', 'promo', 'bot-a', now() - interval '91 days'),
      ('new', 'demo', 'promo', 'bot-a', now() - interval '89 days')`;
  const message = (name: string, leadId: string, status: string, days: number) => sql`
    insert into messages
      (message_id, lead_id, workspace_id, bot_id, chat_id, kind, content, once_key, status, created_at)
    values (${newId()}, ${leadId}, 'demo', 'bot-a', 1, 'notice', '{}', ${name}, ${status},
      now() - ${days} * interval '1 day')`;
  await message('sent long ago', here, 'sent', 181);
  await message('sent', here, 'sent', 179);
  await message('still waiting', here, 'queued', 181);
  await message('said to one who is erased', erased, 'sent', 0);
  await message('being said to one who is erased', erased, 'queued', 0);
  await sql`
    insert into chat_lanes (bot_id, chat_id, is_waiting, due_at) values
      ('bot-a', 1, true, now() - interval '2 days'), ('bot-a', 2, false, now() - interval '2 days'),
      ('bot-a', 3, false, now())`;
  await sweep(sql);
  const left = async (query: string): Promise<string[]> =>
    (await sql.unsafe<{ name: string }[]>(query)).map(({ name }) => name);
  t.strictSame(await left('select message_id as name from inbox'), ['new']);
  t.strictSame(await left('select tracking_token as name from clicks'), ['new']);
  t.strictSame(await left('select once_key as name from messages order by position'), [
    'sent',
    'still waiting',
    'being said to one who is erased',
  ]);
  t.strictSame(await left('select chat_id::text as name from chat_lanes order by 1'), ['1', '3']);
});

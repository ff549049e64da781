/** Deletes what nobody will ask for any more. */
import type { Sql } from '@rastro/event-store';

/** Longer than Telegram (1 day) or JetStream (COMMERCE's consumers are days behind at most) repeat. */
const inboxDays = 30;
/** A click that nobody has followed into a bot by then is not followed any more. */
const clickDays = 90;
/** What was said is needed to explain a sale for as long as it can be disputed. */
const messageDays = 180;

export async function sweep(sql: Sql): Promise<void> {
  await sql`delete from inbox where handled_at < now() - ${inboxDays} * interval '1 day'`;
  await sql`delete from clicks where clicked_at < now() - ${clickDays} * interval '1 day'`;
  await sql`
    delete from messages where status in ('sent', 'failed')
      and (created_at < now() - ${messageDays} * interval '1 day'
        or exists (select 1 from leads
          where leads.lead_id = messages.lead_id and leads.erased_at is not null))`;
  // A lane comes back with the next message; until then it is only a chat's number.
  await sql`
    delete from chat_lanes where not is_waiting and not is_blocked and lease_id is null
      and due_at < now() - interval '1 day'`;
}

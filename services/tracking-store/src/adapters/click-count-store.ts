/** The projection `click_counts`, in the transaction of the log. */
import type { RastroEvent } from '@rastro/events';
import type { Transaction } from '@rastro/runtime';
import { clickCountsOf } from '../core/click-counts.ts';

/**
 * Adds events that were never stored before. Rows are written in order of their keys, so that two
 * batches wait for each other instead of dead-locking.
 */
export async function addClickCounts(
  tx: Transaction,
  events: readonly RastroEvent[],
): Promise<void> {
  const counts = clickCountsOf(events);
  if (counts.length === 0) return;
  await tx`
    insert into click_counts
    select *
    from json_populate_recordset(null::click_counts, ${JSON.stringify(counts)}::text::json)
    on conflict (workspace_id, day, pool_id, bot_id, traffic_class)
    do update set clicks = click_counts.clicks + excluded.clicks`;
}

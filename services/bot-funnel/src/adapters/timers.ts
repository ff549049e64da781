/** Fires timers: a delayed step comes up, or a customer who stopped is asked again. */
import type { Sql } from '@rastro/event-store';
import type { Logger } from '@rastro/runtime';
import { decide } from '../core/decide.ts';
import type { FunnelVersions } from './funnel-versions.ts';
import { saveDecision } from './decision-store.ts';
import { findLead } from './lead-store.ts';
import { claimTimers, type DueTimer, renewTimers, takeTimer } from './timer-table.ts';
import { startWorkLoop, type WorkLoop } from './work-loop.ts';

export interface TimersOptions {
  readonly sql: Sql;
  readonly log: Logger;
  readonly funnels: Pick<FunnelVersions, 'byKey'>;
  /** A message to the customer was queued. */
  readonly onMessage: () => void;
}

const concurrency = 8;

export function startTimers(options: TimersOptions): WorkLoop {
  const { sql, log } = options;
  return startWorkLoop<DueTimer>({
    concurrency,
    claim: (limit) => claimTimers(sql, limit),
    renew: (timers) => renewTimers(sql, timers),
    work: (timer) => fire(options, timer),
    onError: (error) => log.error({ err: error }, 'a timer could not be fired; it is tried again'),
  });
}

async function fire({ sql, funnels, onMessage }: TimersOptions, due: DueTimer): Promise<void> {
  const { leadId, workspaceId, timer } = due;
  const isFired = await sql.begin(async (tx) => {
    // The lead is locked first, as everywhere, so that two writers never wait for each other.
    const loaded = await findLead(tx, leadId);
    const isOurs = await takeTimer(tx, due);
    if (!loaded || !isOurs) return false;
    const funnel = await funnels.byKey(tx, workspaceId, timer.snapshotKey);
    const at = new Date().toISOString();
    const decision = decide(loaded.lead, { type: 'FireTimer', at, timer, funnel });
    await saveDecision(tx, loaded, decision, { at, causationId: `timer-${due.key}` });
    return true;
  });
  if (isFired) onMessage();
}

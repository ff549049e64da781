/** The send ledger: is anybody sending, and what does Meta say about each pixel. */
import type { Sql } from '@rastro/runtime';
import { failed, type Finding, inTime, ok, startAgain } from './finding.ts';

/** What waits although nothing stands in its way. */
export interface OverdueFacts {
  readonly events: number;
  /** How long the longest has been due; null where nothing is. */
  readonly seconds: number | null;
}

export async function gatherOverdue(sql: Sql): Promise<OverdueFacts> {
  const [row] = await inTime(sql<OverdueFacts[]>`
    select count(*) as events, extract(epoch from now() - min(c.due_at))::float8 as seconds
    from capi.conversions c
    left join capi.pixels p on p.workspace_id = c.workspace_id and p.pixel_id = c.pixel_id
    where c.state in ('waiting', 'due', 'unconfirmed') and c.due_at <= now()
      and coalesce(p.state, 'open') = 'open' and coalesce(p.paused_until <= now(), true)`);
  return row ?? { events: 0, seconds: null };
}

/** Longer than a call, its timeout and a lease together. */
const overduePatienceSeconds = 60;

export function judgeOverdue({ events, seconds }: OverdueFacts): Finding {
  const about = { check: 'ledger', subject: 'capi-dispatcher' };
  if (seconds === null || seconds <= overduePatienceSeconds) {
    return ok(about, `${events} due, the oldest for ${Math.round(seconds ?? 0)} s`);
  }
  const detail = `${events} events are due and not sent, the oldest for ${Math.round(seconds)} s`;
  return failed(about, detail, startAgain('capi-dispatcher'));
}

/** A pixel as the dispatchers see it. */
export interface PixelFacts {
  readonly workspaceId: string;
  readonly pixelId: string;
  readonly isParked: boolean;
  /** Meta wants no calls until then. */
  readonly pausedUntil: Date | null;
  /** Of the last time it was parked. */
  readonly complaint: {
    readonly reason: string;
    readonly parkedAt: string;
  } | null;
}

export async function gatherPixels(sql: Sql): Promise<PixelFacts[]> {
  return inTime(sql<PixelFacts[]>`
    select p.workspace_id, p.pixel_id, p.state = 'parked' as is_parked,
      case when p.paused_until > now() then p.paused_until end as paused_until,
      (select e.event->'data' from capi.events e
        where e.stream_id = 'pixel-' || p.workspace_id || '-' || p.pixel_id
          and e.type = 'PixelParked' order by e.version desc limit 1) as complaint
    from capi.pixels p`);
}

/** A pixel as all dispatchers see it: open, paused for a time, or parked until it works again. */
import { append } from '@rastro/event-store';
import { envelop, type EventBody } from '@rastro/events';
import { newId, type Sql, type Transaction } from '@rastro/runtime';
import { pauseMs } from '../core/pace.ts';
import { storable } from '../core/storable-text.ts';
import type { Lane, Pixel } from './lane.ts';

interface PixelRow {
  readonly state: 'open' | 'parked';
  readonly throttles: number;
  readonly version: number;
  readonly failedTokens: string[];
}

export interface Complaint {
  readonly code: number | null;
  readonly subcode: number | null;
  readonly reason: string;
  /** Null where there was no token to be refused. */
  readonly fingerprint: string | null;
  readonly hasOtherToken: boolean;
  readonly probeEveryMs: number;
}

/**
 * Remembers the refused token; parks once there is no other. Announced by the first who parks.
 * @returns whether that was this call.
 */
export async function parkPixel(
  tx: Transaction,
  pixel: Pixel,
  complaint: Complaint,
): Promise<boolean> {
  const { code, subcode, reason, fingerprint, hasOtherToken, probeEveryMs } = complaint;
  const row = await lockPixel(tx, pixel);
  if (!row) return false;
  const others = row.failedTokens.filter((failed) => failed !== fingerprint);
  // Refused last is last; an old token is forgotten long before the list becomes long.
  const failedTokens = [...others, ...(fingerprint === null ? [] : [fingerprint])].slice(-32);
  const state = hasOtherToken ? row.state : 'parked';
  await tx`
    update pixels set state = ${state}, failed_tokens = ${failedTokens},
      probe_at = now() + ${probeEveryMs} * interval '1 millisecond'
    where ${is(tx, pixel)}`;
  if (state === row.state) return false;
  const parkedAt = new Date().toISOString();
  const { pixelId } = pixel;
  const data = { pixelId, code, subcode, reason: storable(reason, 1_024), parkedAt };
  await announcePixel(tx, pixel, row, { type: 'PixelParked', data });
  return true;
}

/**
 * @param fingerprint of the token that worked, or null when there is a new one to be tried.
 * @returns whether it was parked until now.
 */
export async function resumePixel(
  tx: Transaction,
  pixel: Pixel,
  fingerprint: string | null,
): Promise<boolean> {
  const row = await lockPixel(tx, pixel);
  if (row?.state !== 'parked') return false;
  await tx`
    update pixels set state = 'open', probe_at = null, paused_until = null, throttles = 0,
      failed_tokens = array_remove(failed_tokens, ${fingerprint}::text)
    where ${is(tx, pixel)}`;
  const data = { pixelId: pixel.pixelId, resumedAt: new Date().toISOString() };
  await announcePixel(tx, pixel, row, { type: 'PixelResumed', data });
  return true;
}

export async function pausePixel(
  tx: Transaction,
  pixel: Pixel,
  { waitMs, baseMs, random }: { waitMs: number | null; baseMs: number; random: number },
): Promise<void> {
  const row = await lockPixel(tx, pixel);
  if (!row) return;
  const ms = waitMs ?? pauseMs(row.throttles, baseMs, random);
  await tx`
    update pixels set throttles = throttles + 1,
      paused_until = greatest(paused_until, now() + ${ms} * interval '1 millisecond')
    where ${is(tx, pixel)}`;
}

export async function clearThrottle(tx: Transaction, pixel: Pixel): Promise<void> {
  await tx`update pixels set throttles = 0 where ${is(tx, pixel)} and throttles > 0`;
}

/** Rows follow their pixel, some thousands at a time: into the park, and out of it, money first. */
export async function moveParkedRows(sql: Sql): Promise<number> {
  const parked = await sql`
    update conversions set state = 'parked', updated_at = now()
    where id in (
      select c.id from pixels p cross join lateral (
        select id from conversions
        where workspace_id = p.workspace_id and pixel_id = p.pixel_id and due_at <= now()
          and state in ('waiting', 'due', 'unconfirmed')
        limit 5000 for update skip locked) c
      where p.state = 'parked')`;
  const freed = await sql`
    update conversions
    set state = case when unknown_since is null then 'due' else 'unconfirmed' end, updated_at = now()
    where id in (
      select c.id from pixels p cross join lateral (
        select id from conversions
        where workspace_id = p.workspace_id and pixel_id = p.pixel_id and state = 'parked'
        order by event_name desc, event_time desc limit 5000 for update skip locked) c
      where p.state = 'open')`;
  return parked.count + freed.count;
}

export interface AgendaItem extends Lane {
  readonly state: 'open' | 'parked';
  readonly failedTokens: string[];
  /** Only where parked: the refused token may be tried again. */
  readonly isProbeDue: boolean;
  /** Meta wants no calls for now. */
  readonly isPaused: boolean;
  /** Until something is due and the pixel is not paused; null where nothing waits. */
  readonly waitMs: number | null;
}

/** Every lane with the time of its next work: two index look-ups a pixel. */
export async function readAgenda(sql: Sql): Promise<AgendaItem[]> {
  return sql<AgendaItem[]>`
    select p.workspace_id, p.pixel_id, e.event_name, p.state, p.failed_tokens,
      p.state = 'parked' and p.probe_at <= now() as is_probe_due,
      coalesce(p.paused_until > now(), false) as is_paused,
      (extract(epoch from greatest(n.due_at, p.paused_until) - now()) * 1000)::float8 as wait_ms
    from pixels p
    cross join (values ('Purchase'), ('PageView')) e(event_name)
    cross join lateral (
      select min(due_at) as due_at from conversions c
      where c.workspace_id = p.workspace_id and c.pixel_id = p.pixel_id
        and c.event_name = e.event_name and c.state in ('waiting', 'due', 'unconfirmed')) n
    where n.due_at is not null or (p.state = 'parked' and e.event_name = 'Purchase')`;
}

/** Nothing is parked or under way: a probe would have nothing to send. */
export async function hasNothingToProbe(sql: Sql, pixel: Pixel): Promise<boolean> {
  const rows = await sql`
    select 1 from conversions
    where workspace_id = ${pixel.workspaceId} and pixel_id = ${pixel.pixelId}
      and (state = 'parked' or (state = 'sending' and locked_until is not null)
        or (state in ('waiting', 'due', 'unconfirmed') and due_at <= now()))
    limit 1`;
  return rows.length === 0;
}

/** So that two dispatchers, or two ticks, do not probe at the same time. */
export async function postponeProbe(sql: Sql, pixel: Pixel, probeEveryMs: number): Promise<void> {
  await sql`
    update pixels set probe_at = now() + ${probeEveryMs} * interval '1 millisecond'
    where workspace_id = ${pixel.workspaceId} and pixel_id = ${pixel.pixelId}`;
}

async function lockPixel(tx: Transaction, pixel: Pixel): Promise<PixelRow | undefined> {
  const [row] = await tx<PixelRow[]>`
    select state, throttles, version, failed_tokens from pixels where ${is(tx, pixel)} for update`;
  return row;
}

function is(tx: Transaction, { workspaceId, pixelId }: Pixel) {
  return tx`workspace_id = ${workspaceId} and pixel_id = ${pixelId}`;
}

async function announcePixel(
  tx: Transaction,
  pixel: Pixel,
  { version }: PixelRow,
  body: EventBody<'PixelParked' | 'PixelResumed'>,
): Promise<void> {
  const { workspaceId, pixelId } = pixel;
  const event = envelop(body, {
    id: newId(),
    time: new Date().toISOString(),
    source: 'capi-dispatcher',
    workspaceId,
    aggregateId: pixelId,
  });
  await tx`update pixels set version = version + 1 where ${is(tx, pixel)}`;
  const streamId = `pixel-${workspaceId}-${pixelId}`;
  await append(tx, { streamId, expectedVersion: version, events: [event] });
}

/** Lets rows go again at an operator's word: row, announcement and pixel in one transaction. */
import type { Sql, Transaction } from '@rastro/runtime';
import { scheduled } from '../core/conversion.ts';
import type { Change } from '../core/replay.ts';
import { announce } from './announce.ts';
import { type Judged, judgeRows, pagesOf, type PoolsOf, type Wish } from './ledger-judgement.ts';
import { type LedgerRow, listedColumns } from './ledger-rows.ts';

export interface Changed {
  /** Due at once. */
  readonly again: number;
  /** That follow their pixel, which is tried at once. */
  readonly probed: number;
  /** Taken up by the dispatcher, or somebody else, since the preview. */
  readonly missed: number;
}

/**
 * Judged again under lock, some hundreds at a time. What the dispatcher holds at that moment is
 * passed over: it must not be sent by two.
 * @param asOf of the preview that the operator saw.
 */
export async function sendAgain(
  sql: Sql,
  wish: Wish,
  asOf: string,
  poolsOf: PoolsOf,
): Promise<Changed> {
  const sum = { again: 0, probed: 0, missed: 0 };
  for await (const rows of pagesOf(sql, wish, asOf)) {
    const changed = await sql.begin((tx) => changePage(tx, rows, wish, asOf, poolsOf));
    sum.again += changed.again;
    sum.probed += changed.probed;
    sum.missed += changed.missed;
  }
  return sum;
}

interface Decided extends Judged {
  readonly change: Change;
}

async function changePage(
  tx: Transaction,
  page: readonly LedgerRow[],
  wish: Wish,
  asOf: string,
  poolsOf: PoolsOf,
): Promise<Changed> {
  const held = await tx<LedgerRow[]>`
    select ${listedColumns(tx)}, body from conversions
    where id = any(${page.map(({ id }) => id)}::uuid[])
      and state <> 'sending' and updated_at <= ${asOf}::text::timestamptz
    order by id for update skip locked`;
  const judged = await judgeRows(tx, held, wish, poolsOf);
  const decided = judged.flatMap((one): Decided[] =>
    one.verdict.kind === 'again' ? [{ ...one, change: one.verdict.change }] : [],
  );
  const probed = judged.filter(({ verdict }) => verdict.kind === 'probe');
  await write(tx, decided);
  await tellOthers(tx, decided);
  const parked = decided.filter(({ change }) => change.state === 'parked');
  await probePixels(tx, [...probed, ...parked]);
  const missed = page.length - held.length;
  return { again: decided.length, probed: probed.length, missed };
}

async function write(tx: Transaction, decided: readonly Decided[]): Promise<void> {
  if (decided.length === 0) return;
  const given = decided.map(({ row, plan, change }) => ({
    id: row.id,
    state: change.state,
    pool_id: plan ? plan.poolId : row.poolId,
    pixel_id: plan?.pixelId ?? row.pixelId,
    is_forced: change.isForced,
    is_composed: change.isComposedAnew,
    is_begun: change.isBegunAnew,
    is_window: change.isWindowNew,
    is_repeat: change.isRepeat,
  }));
  await tx`
    insert into pixels (workspace_id, pixel_id)
    select distinct workspace_id, given.pixel_id
    from jsonb_to_recordset(${tx.json(given)}) as given(id uuid, pixel_id text)
    join conversions using (id)
    on conflict do nothing`;
  await tx`
    update conversions c set state = given.state, pool_id = given.pool_id,
      pixel_id = given.pixel_id, is_forced = given.is_forced, updated_at = now(),
      due_at = case when given.state = 'parked' then due_at else now() end,
      first_attempt_at = case when is_window then null else first_attempt_at end,
      unknown_since = case when is_window then null
        when is_repeat then coalesce(unknown_since, accepted_at, now()) else unknown_since end,
      body = case when not is_composed then body end,
      match_keys = case when not is_composed then match_keys end,
      complaints = case when not is_composed then complaints end,
      attempts = case when is_begun then 0 else attempts end,
      reason = case when not is_begun then reason end,
      http_status = case when not is_begun then http_status end,
      code = case when not is_begun then code end,
      subcode = case when not is_begun then subcode end,
      fbtrace_id = case when not is_begun then fbtrace_id end
    from jsonb_to_recordset(${tx.json(given)}) as given(id uuid, state text, pool_id text,
      pixel_id text, is_forced bool, is_composed bool, is_begun bool, is_window bool,
      is_repeat bool)
    where c.id = given.id`;
}

async function tellOthers(tx: Transaction, decided: readonly Decided[]): Promise<void> {
  const dueAt = new Date().toISOString();
  await announce(
    tx,
    decided.map(({ row, plan }) => {
      const poolId = plan ? plan.poolId : row.poolId;
      const known = { ...row, poolId, pixelId: plan?.pixelId ?? row.pixelId };
      return { ...row, event: scheduled(known, { dueAt, skippedReason: null }) };
    }),
  );
}

/** The dispatcher tries a parked pixel whose time has come, also with a token that was refused. */
async function probePixels(tx: Transaction, judged: readonly Judged[]): Promise<void> {
  if (judged.length === 0) return;
  const keys = judged.map(({ row }) => `${row.workspaceId} ${row.pixelId}`);
  await tx`
    update pixels set probe_at = now()
    where state = 'parked' and workspace_id || ' ' || pixel_id = any(${[...new Set(keys)]}::text[])`;
}

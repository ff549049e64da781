/**
 * Advisory locks, since some things must not happen at the same time in processes that know
 * nothing of each other. All but `rebuild` and `retention` are held for moments.
 */
import type { Transaction } from '@rastro/runtime';

const names = {
  /** Shared by whoever stores events; alone, somebody sees a log in which nothing is under way. */
  storing: 'rastro_tracking_storing',
  /** Shared by whoever changes or drops what is in the log; a rebuild holds it alone. */
  rewriting: 'rastro_tracking_rewriting',
  /** One rebuild at a time. */
  rebuild: 'rastro_tracking_rebuild',
  /** One run of retention at a time. */
  retention: 'rastro_tracking_retention',
  /** `migrate` of @rastro/event-store holds it alone while it changes tables. */
  migration: 'rastro_migrate',
} as const;

export type LockName = keyof typeof names;
export type LockMode = 'alone' | 'shared';

/** Waits its turn; held until the transaction ends. Waiting in line lets nobody pass by. */
export async function lock(tx: Transaction, name: LockName, mode: LockMode): Promise<void> {
  if (mode === 'alone') {
    await tx`select pg_advisory_xact_lock(hashtextextended(${names[name]}, 0))`;
  } else {
    await tx`select pg_advisory_xact_lock_shared(hashtextextended(${names[name]}, 0))`;
  }
}

/** False when somebody else holds it; never waits. */
export async function tryLock(tx: Transaction, name: LockName, mode: LockMode): Promise<boolean> {
  const key = names[name];
  const [row] =
    mode === 'alone'
      ? await tx<{ isHeld: boolean }[]>`
          select pg_try_advisory_xact_lock(hashtextextended(${key}, 0)) as is_held`
      : await tx<{ isHeld: boolean }[]>`
          select pg_try_advisory_xact_lock_shared(hashtextextended(${key}, 0)) as is_held`;
  return row?.isHeld ?? false;
}

/**
 * `lock(tx, 'storing', 'shared')`, and what Postgres will show as `xmin` of the rows that the
 * transaction writes: one question instead of two for each batch.
 */
export async function beginStoring(tx: Transaction): Promise<string> {
  const [row] = await tx<{ rowId: string }[]>`
    select pg_advisory_xact_lock_shared(hashtextextended(${names.storing}, 0)),
      pg_current_xact_id()::xid::text as row_id`;
  if (!row) throw new Error('a lock without a row');
  return row.rowId;
}

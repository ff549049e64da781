/**
 * Builds a projection again from `event_log` while the service goes on: a new version beside the
 * old one, caught up with what was stored meanwhile, then switched, then compared with the old.
 */
import { connectPostgres, type Sql, type Transaction } from '@rastro/runtime';
import { tryLock, lock } from '../adapters/locks.ts';
import { catchUp, cutLog, lastPosition } from './catch-up.ts';
import { copyForgottenDays, firstKeptDay } from './count-sums.ts';
import { compare, type Comparison } from './comparison.ts';
import { foldSlice, type TokenRange } from './fold.ts';
import {
  analyzeNext,
  createNext,
  dropLeftovers,
  indexNext,
  oldOf,
  RebuildBlockedError,
  switchNames,
} from './next-tables.ts';
import type { Projection } from './projections.ts';

export interface RebuildOptions {
  /** An address whose user owns the tables, or may do as their owner. */
  readonly adminUrl: string;
  readonly schema: string;
  readonly projection: Projection;
  /** For people who wait: one line for each step. */
  readonly onStep?: (step: string) => void;
}

export interface RebuildReport {
  readonly projection: string;
  /** Read from the log; those of no journey are left out. */
  readonly events: number;
  readonly seconds: number;
  /** How long events had to wait for the switch. */
  readonly pausedMs: number;
  readonly isIdentical: boolean;
  readonly tables: readonly Comparison[];
}

/** Somebody else is at it. */
export class RebuildRunningError extends Error {
  readonly code = 'REBUILD_RUNNING';

  constructor() {
    super('Another rebuild is running. It goes on; run yours when it is done.');
    this.name = 'RebuildRunningError';
  }
}

/**
 * A crash leaves the old version in use, and the next run clears away what is left of this one.
 * @throws {RebuildRunningError}
 * @throws {RebuildBlockedError}
 */
export async function rebuild(options: RebuildOptions): Promise<RebuildReport> {
  const { adminUrl, schema } = options;
  const sql = connectPostgres({
    url: adminUrl,
    schema,
    service: 'rastro rebuild',
    maxConnections: 12,
  });
  try {
    // Open all the while, so that the locks end with the connection, however we end.
    return await sql.begin(async (guard) => {
      await guard`set local idle_in_transaction_session_timeout = 0`;
      if (!(await tryLock(guard, 'rebuild', 'alone'))) throw new RebuildRunningError();
      if (!(await tryLock(guard, 'migration', 'shared')))
        throw new RebuildBlockedError('The schema is being migrated. Try again afterwards.');
      await lock(guard, 'rewriting', 'alone');
      return rebuildGuarded(sql, options);
    });
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** A new version under way: it holds all events up to a position. */
interface Build {
  readonly projection: Projection;
  /** First day that the log still tells of in full; null for all. */
  readonly keptFrom: string | null;
  upTo: number;
}

async function rebuildGuarded(sql: Sql, options: RebuildOptions): Promise<RebuildReport> {
  const { projection, onStep = () => {} } = options;
  const { tables } = projection;
  const started = performance.now();
  await dropLeftovers(sql, tables);
  await createNext(sql, tables);
  if (projection.kind === 'counts') await indexNext(sql, tables);
  const keptFrom = await firstKeptDay(sql);
  const build = { projection, keptFrom, upTo: await cutLog(sql) };
  onStep(`reading the log up to position ${build.upTo}`);
  const counts = await Promise.all(
    ranges.map((range) => foldSlice(sql, { range, upTo: build.upTo, keptFrom }, projection)),
  );
  const events = counts.reduce((a, b) => a + b, 0);
  onStep(`${events} events read; making indexes`);
  if (projection.kind === 'journeys') await indexNext(sql, tables);
  await analyzeNext(sql, tables);
  const { view, pausedMs } = await switchOver(sql, build);
  onStep(`switched, events waited ${pausedMs} ms; comparing with the old version`);
  const compared: Comparison[] = [];
  try {
    for (const table of tables) compared.push(await compare(view.tx, table));
  } finally {
    await view.close();
  }
  await sql.unsafe(`drop table ${tables.map((table) => `"${oldOf(table)}"`).join(', ')}`);
  return {
    projection: projection.name,
    events,
    seconds: Math.round(performance.now() - started) / 1_000,
    pausedMs,
    isIdentical: compared.every(({ isIdentical }) => isIdentical),
    tables: compared,
  };
}

/** Two, so that one is sorted by Postgres while another is folded here. */
const ranges: readonly TokenRange[] = [
  { from: '', to: '8' },
  { from: '8', to: 'g' },
];

const fewJourneys = 200;
const maxRounds = 20;

/** Until little is left for the moment in which nobody can store. */
async function catchUpWhileOpen(sql: Sql, build: Build): Promise<void> {
  for (let round = 0; round < maxRounds; round += 1) {
    if ((await catchUpTo(sql, build, await cutLog(sql))) <= fewJourneys) return;
  }
}

async function catchUpTo(sql: Sql, build: Build, upTo: number): Promise<number> {
  const { projection, keptFrom, upTo: after } = build;
  const changed = await catchUp(sql, projection, { after, upTo, keptFrom });
  build.upTo = upTo;
  return changed;
}

const attempts = 10;
const lockTimeoutMs = 3_000;
const lockNotAvailable = '55P03';

/** Tries again when somebody reads the tables for so long that everybody else would wait. */
async function switchOver(sql: Sql, build: Build): Promise<Switched> {
  for (let attempt = 1; ; attempt += 1) {
    await catchUpWhileOpen(sql, build);
    try {
      return await switchOnce(sql, build);
    } catch (error) {
      if ((error as { code?: string }).code !== lockNotAvailable) throw error;
      if (attempt < attempts) continue;
      throw new RebuildBlockedError(
        'Somebody reads the tables without a pause. Everything is as it was; try again later.',
      );
    }
  }
}

interface Switched {
  readonly view: View;
  readonly pausedMs: number;
}

async function switchOnce(sql: Sql, build: Build): Promise<Switched> {
  let view: View | undefined;
  let pausedAt = 0;
  try {
    await sql.begin(async (tx) => {
      await tx.unsafe(`set local lock_timeout = ${lockTimeoutMs}`);
      await lock(tx, 'storing', 'alone');
      pausedAt = performance.now();
      await catchUpTo(sql, build, await lastPosition(tx));
      await keepForgottenDays(tx, build);
      view = await openView(sql);
      await switchNames(tx, build.projection.tables);
    });
  } catch (error) {
    await view?.close();
    throw error;
  }
  if (!view) throw new Error('switched without a view of the old version');
  return { view, pausedMs: Math.ceil(performance.now() - pausedAt) };
}

async function keepForgottenDays(tx: Transaction, build: Build): Promise<void> {
  const { projection, keptFrom } = build;
  if (projection.kind === 'counts' && keptFrom !== null)
    await copyForgottenDays(tx, projection, keptFrom);
}

interface View {
  readonly tx: Transaction;
  close(): Promise<void>;
}

/** Sees all rows as they are now, whatever is stored later. */
async function openView(sql: Sql): Promise<View> {
  const opened = Promise.withResolvers<Transaction>();
  const closing = Promise.withResolvers<void>();
  const closed = sql.begin('isolation level repeatable read read only', async (tx) => {
    await tx`select pg_current_snapshot()`;
    opened.resolve(tx);
    await closing.promise;
  });
  closed.catch(opened.reject);
  const tx = await opened.promise;
  return {
    tx,
    close() {
      closing.resolve();
      return closed;
    },
  };
}

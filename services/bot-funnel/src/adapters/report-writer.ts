/** Collects reports of calls and writes them many at a time: a commit costs more than its rows. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Sql } from '@rastro/event-store';
import type { LaneHold } from './lane-table.ts';
import { type CallReport, recordReports } from './outcome-table.ts';
import { leaseSeconds } from './work-loop.ts';

export interface ReportWriter {
  /**
   * Resolves once it is written, or with `lost` where another process has taken the lane over.
   * Rejects when the lease would have run out: the lane is then claimed again.
   */
  write(report: CallReport): Promise<Exclude<LaneHold, 'busy'>>;
}

interface Entry {
  readonly report: CallReport;
  readonly written: PromiseWithResolvers<Exclude<LaneHold, 'busy'>>;
  readonly deadlineMs: number;
  /** Written alone: among others it, or one of them, has failed. */
  isAlone: boolean;
}

const maxBatch = 200;
const retryMs = 50;

export function createReportWriter({ sql }: { sql: Sql }): ReportWriter {
  let waiting: Entry[] = [];
  let isWriting = false;

  async function writeAll(): Promise<void> {
    isWriting = true;
    while (waiting.length > 0) {
      const size = waiting[0]?.isAlone === true ? 1 : maxBatch;
      const batch = waiting.slice(0, size);
      waiting = waiting.slice(size);
      const left = await writeBatch(sql, batch);
      if (left.length === 0) continue;
      waiting = [...waiting, ...left];
      await delay(retryMs);
    }
    isWriting = false;
  }
  return {
    write(report) {
      const written = Promise.withResolvers<Exclude<LaneHold, 'busy'>>();
      const deadlineMs = performance.now() + leaseSeconds * 1_000;
      waiting.push({ report, written, deadlineMs, isAlone: false });
      if (!isWriting) void writeAll();
      return written.promise;
    },
  };
}

/** @returns those to be tried again */
async function writeBatch(sql: Sql, batch: readonly Entry[]): Promise<Entry[]> {
  const left: Entry[] = [];
  const putBack = (entry: Entry, error: unknown): void => {
    if (performance.now() < entry.deadlineMs) left.push(entry);
    else entry.written.reject(error);
  };
  try {
    const reports = batch.map(({ report }) => report);
    const holds = await sql.begin((tx) => recordReports(tx, reports, 'skip'));
    for (const entry of batch) {
      const hold = holds.get(entry.report) ?? 'busy';
      if (hold === 'busy') putBack(entry, new Error('the lane stayed locked by another writer'));
      else entry.written.resolve(hold);
    }
  } catch (error) {
    for (const entry of batch) {
      entry.isAlone = true;
      putBack(entry, error);
    }
  }
  return left;
}

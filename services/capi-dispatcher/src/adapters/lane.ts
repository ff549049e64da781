import type { Transaction } from '@rastro/runtime';
import type { Conversion, EventName } from '../core/conversion.ts';
import type { Attempted } from '../core/aftermath.ts';
import type { Complaint } from '../core/lint.ts';

export interface Pixel {
  readonly workspaceId: string;
  readonly pixelId: string;
}

/** What is sent one call after another: one pixel's PageViews, or its Purchases. */
export interface Lane extends Pixel {
  readonly eventName: EventName;
}

/** A row that is leased, with all of its claim until one after the other is settled. */
export interface Claimed extends Attempted {
  /** Names the claim, and so its dispatcher, in `locked_by`: another claim is another lease. */
  readonly lease: string;
  /** The event's JSON, frozen. */
  readonly body: string;
  /** By the catalog, at this claim. */
  readonly testEventCode: string | null;
  readonly matchKeys: readonly string[];
  readonly complaints: readonly Complaint[];
  /** Older than Meta takes; an operator sends it all the same. */
  readonly isForced: boolean;
}

/** A row of `conversions` as a claim reads it. */
export interface StoredConversion extends Conversion {
  readonly eventTime: number;
  readonly attempts: number;
  readonly firstAttemptAt: Date | null;
  readonly unknownSince: Date | null;
  readonly body: string | null;
  /** With which it was last sent. */
  readonly testEventCode: string | null;
  readonly matchKeys: string[] | null;
  readonly complaints: Complaint[] | null;
  readonly isForced: boolean;
  readonly version: number;
}

export function attemptedOf(row: StoredConversion): Attempted {
  const { eventTime, unknownSince } = row;
  return { ...row, eventTimeSeconds: eventTime, unknownSinceMs: unknownSince?.getTime() ?? null };
}

/** Those of a {@link StoredConversion}. */
export function columns(tx: Transaction) {
  return tx`id, workspace_id, pixel_id, pool_id, event_name, event_id, tracking_token, payment_id,
    event_time, attempts, first_attempt_at, unknown_since, body, test_event_code, match_keys,
    complaints, is_forced, version`;
}

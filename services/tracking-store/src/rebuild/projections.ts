/**
 * What can be built again from `event_log`, each as data: its tables, and how events become their
 * rows. Columns and keys are the tables' own; a row names its columns as they are in SQL.
 */
import type { RastroEvent } from '@rastro/events';
import { clickCountsOf } from '../core/click-counts.ts';
import { metaRow, ownerOf, sessionRow } from '../core/rows.ts';
import { addNews, type News } from '../core/session-fold.ts';

export type Row = Readonly<Record<string, unknown>>;

export type Projection = JourneyProjection | CountProjection;

/** Rows that are made of all events of a token and of no others. */
export interface JourneyProjection {
  readonly kind: 'journeys';
  readonly name: string;
  /** Each has a column `tracking_token`. */
  readonly tables: readonly string[];
  readonly begin: () => JourneyFold;
}

/** Takes the events of one token, in any order. */
export interface JourneyFold {
  add(event: RastroEvent): void;
  /** By table. */
  rows(): Readonly<Record<string, readonly Row[]>>;
}

/** Rows that count events which belong to a journey. */
export interface CountProjection {
  readonly kind: 'counts';
  readonly name: string;
  readonly tables: readonly [string];
  /** Columns that are summed up; the others are the key, and the table has them as such. */
  readonly sums: readonly string[];
  /** What one event adds, or null for nothing. */
  readonly rowOf: (event: RastroEvent) => Row | null;
  /**
   * The column with the UTC day of what was counted. Days of months that the log has dropped are
   * not counted again: their rows stay as they are.
   */
  readonly day: string;
}

const sessions: JourneyProjection = {
  kind: 'journeys',
  name: 'sessions',
  tables: ['sessions', 'meta_tracking_sessions'],
  begin() {
    const news = new Map<string, News>();
    return {
      add: (event) => addNews(news, event),
      rows() {
        const found = [...news.values()];
        const owner = ownerOf(found.map(({ state }) => state));
        return {
          sessions: found.map(({ state, events }) => ({ ...sessionRow(state), version: events })),
          meta_tracking_sessions: owner ? [metaRow(owner)] : [],
        };
      },
    };
  },
};

const clickCounts: CountProjection = {
  kind: 'counts',
  name: 'click_counts',
  tables: ['click_counts'],
  sums: ['clicks'],
  day: 'day',
  rowOf(event) {
    const [count] = clickCountsOf([event]);
    return count ? { ...count } : null;
  },
};

export const projections: readonly Projection[] = [sessions, clickCounts];

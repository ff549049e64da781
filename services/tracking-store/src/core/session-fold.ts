/** Many events, merged into the sessions that they speak of. */
import type { RastroEvent } from '@rastro/events';
import { mergeSessions, type SessionState } from './session.ts';
import { sessionOf } from './session-of.ts';

/** What some events say of one session. */
export interface News {
  readonly state: SessionState;
  /** How many of them there are. */
  readonly events: number;
}

export const keyOf = ({ trackingToken, workspaceId }: SessionState): string =>
  `${trackingToken}/${workspaceId}`;

/** Adds one event to what is known by now; an event of no journey adds nothing. */
export function addNews(news: Map<string, News>, event: RastroEvent): void {
  const state = sessionOf(event);
  if (!state) return;
  const key = keyOf(state);
  const before = news.get(key);
  news.set(key, {
    state: before ? mergeSessions(before.state, state) : state,
    events: (before?.events ?? 0) + 1,
  });
}

/** By token and workspace. */
export function newsOf(events: Iterable<RastroEvent>): Map<string, News> {
  const news = new Map<string, News>();
  for (const event of events) addNews(news, event);
  return news;
}

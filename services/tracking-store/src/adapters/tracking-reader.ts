/** Answers what is known of one token. */
import { isOutage } from '@rastro/messaging';
import type { Sql } from '@rastro/runtime';
import { journeyEntry, type TrackingAnswer } from '../core/journey.ts';
import { ownerOf } from '../core/rows.ts';
import { viewSession } from '../core/session-view.ts';
import type { AnswerCache } from './answer-cache.ts';
import { readJourney } from './event-log.ts';
import { readSessions, type StoredSession } from './session-store.ts';

export interface Question {
  readonly trackingToken: string;
  /** Who asks; without it, whoever owns the token is answered about. */
  readonly workspaceId?: string;
}

/** Undefined for a token that nobody has spoken of (in that workspace). */
export type FindTracking = (question: Question) => Promise<TrackingAnswer | undefined>;

export function createTrackingReader(sql: Sql, cache: AnswerCache): FindTracking {
  return async (question) => {
    const { trackingToken, workspaceId } = question;
    const found = await cache.read(trackingToken);
    const cached = workspaceId && found?.workspaceId !== workspaceId ? undefined : found;
    try {
      const sessions = await readSessions(sql, trackingToken);
      const session = pick(sessions, workspaceId);
      if (!session) return undefined;
      const { version } = session;
      if (cached?.workspaceId === session.workspaceId && cached.version === version) {
        return cached.answer;
      }
      const answer = await compose(sql, session);
      const isOwner = pick(sessions, undefined) === session;
      if (isOwner)
        cache.write(trackingToken, { workspaceId: session.workspaceId, version, answer });
      return answer;
    } catch (error) {
      // Without Postgres nobody can say whether the copy is the newest, but it was true once.
      if (cached && isOutage(error)) return cached.answer;
      throw error;
    }
  };
}

function pick(
  sessions: readonly StoredSession[],
  workspaceId: string | undefined,
): StoredSession | undefined {
  if (workspaceId !== undefined) return sessions.find((s) => s.workspaceId === workspaceId);
  const owner = ownerOf(sessions.map(({ state }) => state));
  return sessions.find(({ state }) => state === owner);
}

async function compose(sql: Sql, { state }: StoredSession): Promise<TrackingAnswer> {
  const journey = await readJourney(sql, state);
  const { trackingToken } = state;
  return { trackingToken, session: viewSession(state), journey: journey.map(journeyEntry) };
}

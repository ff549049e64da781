/** Answers what is known of one token. */
import { isOutage } from '@rastro/messaging';
import type { Sql } from '@rastro/runtime';
import { journeyEntry, type TrackingAnswer } from '../core/journey.ts';
import { ownerOf } from '../core/rows.ts';
import { viewSession } from '../core/session-view.ts';
import type { AnswerCache, CachedAnswer, CacheWrite } from './answer-cache.ts';
import { readJourney } from './event-log.ts';
import { readNewestToken, readSessions, type ReadSession } from './session-store.ts';

export interface Question {
  readonly trackingToken: string;
  /** Who asks; without it, whoever owns the token is answered about. */
  readonly workspaceId?: string;
}

/** Undefined for a token that nobody has spoken of (in that workspace). */
export type FindTracking = (question: Question) => Promise<TrackingAnswer | undefined>;

/** The newest token that came with a click id of Meta, byte for byte. */
export type FindByClick = (fbclid: string) => Promise<TrackingAnswer | undefined>;

export function createTrackingReader(sql: Sql, cache: AnswerCache): FindTracking {
  return async (question) => {
    const { trackingToken, workspaceId } = question;
    const found = await cache.read(trackingToken);
    const cached = workspaceId && found?.workspaceId !== workspaceId ? undefined : found;
    try {
      const sessions = await readSessions(sql, trackingToken);
      const session = pick(sessions, workspaceId);
      if (!session) return undefined;
      const known = cached && isCopyOf(session, cached) ? answerOf(trackingToken, cached) : null;
      if (known) return known;
      const answer = await compose(sql, session);
      const isOwner = pick(sessions, undefined) === session;
      if (isOwner) cache.write([cacheWrite(session, answer)]);
      return answer;
    } catch (error) {
      // Without Postgres nobody can say whether the copy is the newest, but it was true once.
      const known = cached && isOutage(error) ? answerOf(trackingToken, cached) : null;
      if (known) return known;
      throw error;
    }
  };
}

export function createClickReader(sql: Sql, cache: AnswerCache, find: FindTracking): FindByClick {
  async function tokenOf(fbclid: string): Promise<string | undefined> {
    try {
      return await readNewestToken(sql, fbclid);
    } catch (error) {
      const token = isOutage(error) ? await cache.tokenOf(fbclid) : undefined;
      if (token === undefined) throw error;
      return token;
    }
  }
  return async (fbclid) => {
    const trackingToken = await tokenOf(fbclid);
    return trackingToken === undefined ? undefined : find({ trackingToken });
  };
}

const isCopyOf = (session: ReadSession, cached: CachedAnswer): boolean =>
  cached.workspaceId === session.workspaceId &&
  cached.version === session.version &&
  cached.rowId === session.rowId;

/** Null where the copy lacks the journey. */
const answerOf = (
  trackingToken: string,
  { session, journey }: CachedAnswer,
): TrackingAnswer | null => journey && { trackingToken, session, journey };

function cacheWrite(
  { workspaceId, version, rowId }: ReadSession,
  { trackingToken, session, journey }: TrackingAnswer,
): CacheWrite {
  const entry = { workspaceId, version, rowId, session, journey };
  return { trackingToken, entry, fbclid: null };
}

function pick(
  sessions: readonly ReadSession[],
  workspaceId: string | undefined,
): ReadSession | undefined {
  if (workspaceId !== undefined) return sessions.find((s) => s.workspaceId === workspaceId);
  const owner = ownerOf(sessions.map(({ state }) => state));
  return sessions.find(({ state }) => state === owner);
}

async function compose(sql: Sql, { state }: ReadSession): Promise<TrackingAnswer> {
  const journey = await readJourney(sql, state);
  const { trackingToken } = state;
  return { trackingToken, session: viewSession(state), journey: journey.map(journeyEntry) };
}

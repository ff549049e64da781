/**
 * What was stored, into the cache, soon after its commit. A click's events come within a second or
 * two of each other, so what changes again in the meantime is written once; and while a journey is
 * held here from its first event on, it is known whole.
 */
import { type RastroEvent, trackingTokenOf } from '@rastro/events';
import { journeyEntry } from '../core/journey.ts';
import type { SessionState } from '../core/session.ts';
import { keyOf } from '../core/session-fold.ts';
import { viewSession } from '../core/session-view.ts';
import type { AnswerCache, CacheWrite } from './answer-cache.ts';
import type { Stored } from './tracking-store.ts';

interface Pending {
  readonly state: SessionState;
  readonly version: number;
  readonly rowId: string;
  /** All events of the session, or null when there are some that we never saw. */
  readonly events: readonly RastroEvent[] | null;
  /** Of a click that is new. */
  readonly fbclid: string | null;
}

export interface WriteThrough extends Disposable {
  stored(stored: Stored): void;
}

const lingerMs = 500;
/** More is not held back; what is lost here is composed by the next who asks. */
const maxPending = 10_000;
/** Longer journeys are composed by who asks for them. */
const maxEvents = 100;

export function createWriteThrough(cache: AnswerCache): WriteThrough {
  let pending = new Map<string, Pending>();
  let timer: NodeJS.Timeout | undefined;
  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    const writes = [...pending.values()].map(cacheWrite);
    pending = new Map();
    cache.write(writes);
  }
  return {
    stored({ events, rowId, sessions, rivalTokens }) {
      const bySession = Map.groupBy(events, sessionKeyOf);
      for (const { state, version } of sessions) {
        const { trackingToken } = state;
        const before = pending.get(trackingToken);
        // Two batches may come back in another order than they were committed in.
        if (before && before.version > version) continue;
        pending.delete(trackingToken);
        if (rivalTokens.has(trackingToken) || pending.size >= maxPending) continue;
        const own = bySession.get(keyOf(state)) ?? [];
        const known = version === own.length ? [] : eventsOf(before, version - own.length);
        const hasClick = own.some(({ type }) => type === 'ClickTracked');
        pending.set(trackingToken, {
          state,
          version,
          rowId,
          events: known && known.length + own.length <= maxEvents ? [...known, ...own] : null,
          fbclid: (hasClick ? state.click?.value.fbclid : before?.fbclid) || null,
        });
      }
      cache.drop([...rivalTokens]);
      if (pending.size > 0) timer ??= setTimeout(flush, lingerMs);
    },
    [Symbol.dispose]: flush,
  };
}

/** The events of a version that is still here. */
const eventsOf = (before: Pending | undefined, version: number): readonly RastroEvent[] | null =>
  before?.version === version ? before.events : null;

const sessionKeyOf = (event: RastroEvent): string =>
  `${trackingTokenOf(event)}/${event.workspaceid}`;

function cacheWrite({ state, version, rowId, events, fbclid }: Pending): CacheWrite {
  const { trackingToken, workspaceId } = state;
  const journey = events && inOrder(events).map(journeyEntry);
  const entry = { workspaceId, version, rowId, session: viewSession(state), journey };
  return { trackingToken, entry, fbclid };
}

/** As `readJourney` reads them. */
const inOrder = (events: readonly RastroEvent[]): RastroEvent[] =>
  events.toSorted((a, b) =>
    a.time === b.time ? (a.id < b.id ? -1 : 1) : a.time < b.time ? -1 : 1,
  );

/** Sessions made again from the log, after something in the log was changed or dropped. */
import type { RastroEvent } from '@rastro/events';
import type { Transaction } from '@rastro/runtime';
import { addNews, type News } from '../core/session-fold.ts';
import { updateSessions, writeMetaRows } from './session-store.ts';

interface SessionKey {
  readonly trackingToken: string;
  readonly workspaceId: string;
}

/**
 * Whoever stores events of these tokens waits from here on, and merges into what we leave.
 * To be called before the log is changed; locked in the order in which storing locks.
 */
export async function lockSessionsOf(
  tx: Transaction,
  tokens: readonly string[],
): Promise<SessionKey[]> {
  return tx<SessionKey[]>`
    select tracking_token, workspace_id from sessions
    where tracking_token = any(${tokens as string[]})
    order by tracking_token, workspace_id for update`;
}

const eventsAtOnce = 1_000;

/**
 * Every row is written again, also one that stays as it was: a new version of the row tells copies
 * elsewhere that the journey changed.
 * @param sessions all that are known of the tokens, locked.
 */
export async function reproject(
  tx: Transaction,
  tokens: readonly string[],
  sessions: readonly SessionKey[],
): Promise<void> {
  const news = await foldOf(tx, tokens);
  const written = [...news.values()].map(({ state, events }) => ({ state, version: events }));
  await updateSessions(tx, written);
  await writeMetaRows(tx, written, new Map());
  const gone = sessions.filter((key) => !news.has(`${key.trackingToken}/${key.workspaceId}`));
  if (gone.length === 0) return;
  await tx`
    delete from sessions using unnest(
      ${gone.map((key) => key.trackingToken)}::text[], ${gone.map((key) => key.workspaceId)}::text[]
    ) as gone (tracking_token, workspace_id)
    where sessions.tracking_token = gone.tracking_token
      and sessions.workspace_id = gone.workspace_id`;
  await tx`
    delete from meta_tracking_sessions as meta
    where tracking_token = any(${tokens as string[]})
      and not exists (select from sessions where sessions.tracking_token = meta.tracking_token)`;
}

async function foldOf(tx: Transaction, tokens: readonly string[]): Promise<Map<string, News>> {
  const news = new Map<string, News>();
  const events = tx<{ event: RastroEvent }[]>`
    select event from event_log where tracking_token = any(${tokens as string[]})`;
  for await (const rows of events.cursor(eventsAtOnce)) {
    for (const { event } of rows) addNews(news, event);
  }
  // In the order in which storing writes: two that write the same rows wait instead of dead-locking.
  return new Map([...news].sort(([a], [b]) => (a < b ? -1 : 1)));
}

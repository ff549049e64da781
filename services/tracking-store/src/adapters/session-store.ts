/** The projections `sessions` and `meta_tracking_sessions`, in the transaction of the log. */
import type { RastroEvent } from '@rastro/events';
import type { Queryable, Transaction } from '@rastro/runtime';
import { metaRow, ownerOf, sessionRow } from '../core/rows.ts';
import { mergeSessions, type SessionState } from '../core/session.ts';
import { keyOf, type News, newsOf } from '../core/session-fold.ts';
import { storableJson } from './storable.ts';

export interface StoredSession {
  readonly workspaceId: string;
  /** Number of events in it. */
  readonly version: number;
  readonly state: SessionState;
}

export interface Projected {
  /** As they are now. */
  readonly sessions: readonly Versioned[];
  /** Tokens of which more than one workspace has spoken. */
  readonly rivalTokens: ReadonlySet<string>;
}

/** Merges events that were never stored before. */
export async function projectSessions(
  tx: Transaction,
  events: readonly RastroEvent[],
): Promise<Projected> {
  let news = newsOf(events);
  const sessions: Versioned[] = [];
  const rivalTokens = new Set<string>();
  // A second round only when another transaction made one of the sessions in between.
  while (news.size > 0) {
    const stored = await lockSessions(tx, [...news.values()]);
    const { known, fresh } = merge(news, stored);
    await updateSessions(tx, known);
    const inserted = await insertSessions(tx, fresh);
    const done = [...known, ...fresh.filter(({ state }) => inserted.has(keyOf(state)))];
    await writeMetaRows(tx, done, stored);
    sessions.push(...done);
    addRivals(rivalTokens, [...stored.values(), ...done]);
    news = new Map(
      fresh.flatMap(({ state }) => {
        const key = keyOf(state);
        const entry = inserted.has(key) ? undefined : news.get(key);
        return entry ? [[key, entry] as const] : [];
      }),
    );
  }
  return { sessions, rivalTokens };
}

function addRivals(rivalTokens: Set<string>, sessions: readonly { state: SessionState }[]): void {
  const workspaces = new Map<string, string>();
  for (const { state } of sessions) {
    const { trackingToken, workspaceId } = state;
    if ((workspaces.get(trackingToken) ?? workspaceId) !== workspaceId)
      rivalTokens.add(trackingToken);
    workspaces.set(trackingToken, workspaceId);
  }
}

/** All sessions of the tokens, also other workspaces'; locked in order of token. */
async function lockSessions(
  tx: Transaction,
  news: readonly News[],
): Promise<Map<string, StoredSession>> {
  const tokens = news.map(({ state }) => state.trackingToken);
  const rows = await tx<StoredSession[]>`
    select workspace_id, version, state from sessions where tracking_token = any(${tokens})
    order by tracking_token, workspace_id for update`;
  return new Map(rows.map((row) => [keyOf(row.state), row]));
}

/** A session as it is written. */
export interface Versioned {
  readonly state: SessionState;
  readonly version: number;
}

function merge(news: ReadonlyMap<string, News>, stored: ReadonlyMap<string, StoredSession>) {
  const known: Versioned[] = [];
  const fresh: Versioned[] = [];
  for (const [key, { state, events }] of [...news].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const before = stored.get(key);
    if (!before) fresh.push({ state, version: events });
    else {
      const version = before.version + events;
      known.push({ state: mergeSessions(before.state, state), version });
    }
  }
  return { known, fresh };
}

const rowOf = ({ state, version }: Versioned) => ({ ...sessionRow(state), version });

async function insertSessions(
  tx: Transaction,
  sessions: readonly Versioned[],
): Promise<Set<string>> {
  if (sessions.length === 0) return new Set();
  const json = storableJson(sessions.map(rowOf));
  const rows = await tx<{ trackingToken: string; workspaceId: string }[]>`
    insert into sessions
    select * from json_populate_recordset(null::sessions, ${json}::text::json)
    on conflict do nothing
    returning tracking_token, workspace_id`;
  return new Set(rows.map((row) => `${row.trackingToken}/${row.workspaceId}`));
}

export async function updateSessions(
  tx: Transaction,
  sessions: readonly Versioned[],
): Promise<void> {
  const [first] = sessions;
  if (!first) return;
  // Column names come from our own code (core/rows.ts), values travel as one parameter.
  const columns = Object.keys(rowOf(first)).join(', ');
  await tx.unsafe(
    `update sessions set (${columns}) = row(${columns.replaceAll(/\w+/g, 'new.$&')})
     from json_populate_recordset(null::sessions, $1::text::json) as new
     where sessions.tracking_token = new.tracking_token
       and sessions.workspace_id = new.workspace_id`,
    [storableJson(sessions.map(rowOf))],
    { prepare: true },
  );
}

export async function writeMetaRows(
  tx: Transaction,
  written: readonly Versioned[],
  stored: ReadonlyMap<string, StoredSession>,
): Promise<void> {
  const sessions = new Map([...stored.values(), ...written].map((s) => [keyOf(s.state), s.state]));
  const tokens = new Set(written.map(({ state }) => state.trackingToken));
  const rows = [...Map.groupBy(sessions.values(), (state) => state.trackingToken)].flatMap(
    ([token, rivals]) => {
      const owner = tokens.has(token) ? ownerOf(rivals) : undefined;
      return owner ? [metaRow(owner)] : [];
    },
  );
  if (rows.length === 0) return;
  await tx`
    insert into meta_tracking_sessions
    select *
    from json_populate_recordset(null::meta_tracking_sessions, ${storableJson(rows)}::text::json)
    on conflict (tracking_token) do update set
      root_event_id = excluded.root_event_id,
      pageview_sent = excluded.pageview_sent,
      pageview_sent_at = excluded.pageview_sent_at,
      fbclid = excluded.fbclid,
      fbc = excluded.fbc,
      fbp = excluded.fbp,
      user_external_id = excluded.user_external_id,
      created_at = excluded.created_at,
      updated_at = excluded.updated_at`;
}

export interface ReadSession extends StoredSession {
  /** Changes with each write of the row. */
  readonly rowId: string;
}

/** All workspaces' sessions of one token: one, unless somebody spoke of a token not theirs. */
export async function readSessions(sql: Queryable, trackingToken: string): Promise<ReadSession[]> {
  return sql<ReadSession[]>`
    select workspace_id, version, state, xmin::text as row_id from sessions
    where tracking_token = ${trackingToken}`;
}

/** The newest token of a click id: who opens an ad's link twice brings the same one twice. */
export async function readNewestToken(sql: Queryable, fbclid: string): Promise<string | undefined> {
  const [row] = await sql<{ trackingToken: string }[]>`
    select tracking_token from meta_tracking_sessions where fbclid = ${fbclid}
    order by created_at desc limit 1`;
  return row?.trackingToken;
}

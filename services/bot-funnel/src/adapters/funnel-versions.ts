/** Funnels as they stood when customers entered them; what was kept once never changes. */
import type { CatalogItem } from '@rastro/events';
import type { Queryable, Transaction } from '@rastro/event-store';
import type { FunnelSnapshot } from '../core/funnel.ts';

interface Row {
  readonly snapshotId: number;
  readonly workspaceId: string;
  readonly funnelId: string;
  readonly version: number;
  readonly steps: FunnelSnapshot['steps'];
  readonly definition: CatalogItem<'funnel'> | null;
}

function snapshotOf({ snapshotId, funnelId, version, steps, definition }: Row): FunnelSnapshot {
  const { id: _id, ...whole } = definition ?? { id: funnelId, steps };
  return { ...whole, key: String(snapshotId), funnelId, version };
}

export interface FunnelPlace {
  readonly workspaceId: string;
  readonly funnelId: string;
  readonly version: number;
}

export interface FunnelVersions {
  /** Keeps the version that the catalog has now, the first time that somebody enters it. */
  keep(
    tx: Transaction,
    funnel: { workspaceId: string; version: number; item: CatalogItem<'funnel'> },
  ): Promise<FunnelSnapshot>;
  byVersion(sql: Queryable, place: FunnelPlace): Promise<FunnelSnapshot | null>;
  /** By the key that a button carries; another workspace's is unknown. */
  byKey(sql: Queryable, workspaceId: string, key: string): Promise<FunnelSnapshot | null>;
}

const maxRemembered = 1_000;

/** What was read is remembered; what another transaction may still take back is not. */
export function createFunnelVersions(): FunnelVersions {
  const remembered = new Map<string, FunnelSnapshot>();

  async function remember(
    name: string,
    read: () => Promise<Row | undefined>,
  ): Promise<FunnelSnapshot | null> {
    const known = remembered.get(name);
    if (known !== undefined) return known;
    const row = await read();
    if (row === undefined) return null;
    const snapshot = snapshotOf(row);
    if (remembered.size >= maxRemembered) remembered.clear();
    remembered.set(name, snapshot);
    return snapshot;
  }
  const versions: FunnelVersions = {
    async keep(tx, { workspaceId, version, item }) {
      const place = { workspaceId, funnelId: item.id, version };
      const known = await versions.byVersion(tx, place);
      if (known) return known;
      const steps = tx.json(item.steps as never);
      const [row] = await tx<Row[]>`
        insert into funnel_versions (workspace_id, funnel_id, version, steps, definition)
        values (${workspaceId}, ${item.id}, ${version}, ${steps}, ${tx.json(item as never)})
        on conflict (workspace_id, funnel_id, version)
          do update set version = excluded.version returning *`;
      if (row === undefined) throw new Error(`funnel ${item.id} version ${version} was not kept`);
      return snapshotOf(row);
    },
    byVersion: (sql, { workspaceId, funnelId, version }) =>
      remember(`${workspaceId}/${funnelId}/${version}`, async () => {
        const [row] = await sql<Row[]>`
          select * from funnel_versions where workspace_id = ${workspaceId}
            and funnel_id = ${funnelId} and version = ${version}`;
        return row;
      }),
    byKey: (sql, workspaceId, key) =>
      remember(`${workspaceId}/#${key}`, async () => {
        const [row] = await sql<Row[]>`
          select * from funnel_versions
          where snapshot_id = ${Number(key)} and workspace_id = ${workspaceId}`;
        return row;
      }),
  };
  return versions;
}

/** Funnels as they stood when customers entered them. */
import type { CatalogItem } from '@rastro/events';
import type { Queryable, Transaction } from '@rastro/event-store';
import type { FunnelSnapshot } from '../core/funnel.ts';

interface Row {
  readonly snapshotId: number;
  readonly funnelId: string;
  readonly version: number;
  readonly steps: FunnelSnapshot['steps'];
}

const snapshotOf = ({ snapshotId, funnelId, version, steps }: Row): FunnelSnapshot => ({
  key: String(snapshotId),
  funnelId,
  version,
  steps,
});

/** Keeps the version that the catalog has now, the first time that somebody enters it. */
export async function keepFunnelVersion(
  tx: Transaction,
  funnel: { workspaceId: string; version: number; item: CatalogItem<'funnel'> },
): Promise<FunnelSnapshot> {
  const { workspaceId, version, item } = funnel;
  const known = await findFunnelVersion(tx, { workspaceId, funnelId: item.id, version });
  if (known) return known;
  await tx`
    insert into funnel_versions (workspace_id, funnel_id, version, steps)
    values (${workspaceId}, ${item.id}, ${version}, ${tx.json(item.steps as never)})
    on conflict do nothing`;
  const kept = await findFunnelVersion(tx, { workspaceId, funnelId: item.id, version });
  if (!kept) throw new Error(`funnel ${item.id} version ${version} was not kept`);
  return kept;
}

export async function findFunnelVersion(
  sql: Queryable,
  where: { workspaceId: string; funnelId: string; version: number },
): Promise<FunnelSnapshot | null> {
  const { workspaceId, funnelId, version } = where;
  const [row] = await sql<Row[]>`
    select snapshot_id, funnel_id, version, steps from funnel_versions
    where workspace_id = ${workspaceId} and funnel_id = ${funnelId} and version = ${version}`;
  return row ? snapshotOf(row) : null;
}

/** By the key that a button carries; another workspace's is unknown. */
export async function findSnapshot(
  sql: Queryable,
  workspaceId: string,
  key: string,
): Promise<FunnelSnapshot | null> {
  const [row] = await sql<Row[]>`
    select snapshot_id, funnel_id, version, steps from funnel_versions
    where snapshot_id = ${Number(key)} and workspace_id = ${workspaceId}`;
  return row ? snapshotOf(row) : null;
}

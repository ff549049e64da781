import type { CatalogEntry } from '@rastro/events';
import type { Queryable, Sql } from '@rastro/event-store';
import type { Change, Current } from '../core/changes.ts';

export interface CatalogStore {
  entries(workspaceId?: string): Promise<CatalogEntry[]>;
  /** Reads all, lets `plan` decide and writes its changes, in one transaction, one at a time. */
  change<T extends { readonly changes: readonly Change[] }>(
    workspaceId: string,
    changedAt: string,
    plan: (current: readonly Current[]) => T,
  ): Promise<T>;
  unpublished(limit: number): Promise<CatalogEntry[]>;
  markPublished(entries: readonly CatalogEntry[]): Promise<void>;
  /** For when stream CATALOG was lost. */
  markAllUnpublished(): Promise<void>;
}

interface Row extends Omit<Current, 'data'> {
  readonly data: CatalogEntry['data'];
  readonly changedAt: Date;
}

const toEntry = ({ changedAt, ...row }: Row): CatalogEntry =>
  ({ ...row, changedAt: changedAt.toISOString() }) as CatalogEntry;

export function createCatalogStore(sql: Sql): CatalogStore {
  const columns = sql`workspace_id, kind, id, version, data, changed_at`;
  return {
    async entries(workspaceId) {
      const where = workspaceId === undefined ? sql`` : sql`where workspace_id = ${workspaceId}`;
      const rows = await sql<Row[]>`select ${columns} from entries ${where} order by kind, id`;
      return rows.map(toEntry);
    },
    async change(workspaceId, changedAt, plan) {
      const planned = await sql.begin(async (tx) => {
        await tx`lock table entries in share row exclusive mode`;
        const rows = await tx<Row[]>`select ${columns} from entries`;
        const result = plan(rows);
        for (const change of result.changes) await write(tx, { workspaceId, changedAt, change });
        return result;
      });
      return planned as Awaited<ReturnType<typeof plan>>;
    },
    async unpublished(limit) {
      const rows = await sql<Row[]>`
        select ${columns} from entries where published_version < version order by kind, id limit ${limit}`;
      return rows.map(toEntry);
    },
    async markPublished(entries) {
      for (const { kind, id, version } of entries) {
        await sql`
          update entries set published_version = greatest(published_version, ${version})
          where kind = ${kind} and id = ${id}`;
      }
    },
    async markAllUnpublished() {
      await sql`update entries set published_version = 0`;
    },
  };
}

async function write(
  tx: Queryable,
  { workspaceId, changedAt, change }: { workspaceId: string; changedAt: string; change: Change },
): Promise<void> {
  const { kind, id, version, data } = change;
  const json = data === null ? null : tx.json(data as never);
  await tx`
    insert into entries (kind, id, workspace_id, version, data, changed_at)
    values (${kind}, ${id}, ${workspaceId}, ${version}, ${json}, ${changedAt})
    on conflict (kind, id) do update set
      workspace_id = excluded.workspace_id, version = excluded.version,
      data = excluded.data, changed_at = excluded.changed_at`;
}

/** What applying drafts would do to a workspace, before anything is done. */
import type { CatalogEntry, CatalogKind } from '@rastro/events';
import type { AnyDraft } from './entry.ts';

export interface Change {
  readonly kind: CatalogKind;
  readonly id: string;
  readonly change: 'created' | 'updated' | 'removed';
  /** The version that the entry has afterwards. */
  readonly version: number;
  readonly data: AnyDraft['data'] | null;
}

export interface Current extends Pick<CatalogEntry, 'workspaceId' | 'kind' | 'id' | 'version'> {
  readonly data: AnyDraft['data'] | null;
}

/** Another workspace has an entry of that kind and id, which must be unique across all. */
export interface Conflict {
  readonly kind: CatalogKind;
  readonly id: string;
  readonly reason: string;
}

/** Entries that did not change are left alone; those that are not named go only with `prune`. */
export function changesOf(options: {
  workspaceId: string;
  drafts: readonly AnyDraft[];
  current: readonly Current[];
  prune: boolean;
}): Change[] {
  const { workspaceId, drafts, current, prune } = options;
  const known = new Map(current.map((entry) => [`${entry.kind}/${entry.id}`, entry]));
  const changes: Change[] = [];
  for (const { kind, id, data } of drafts) {
    const entry = known.get(`${kind}/${id}`);
    if (entry && isSame(entry.data, data)) continue;
    const isNew = !entry || entry.data === null;
    changes.push({
      kind,
      id,
      data,
      change: isNew ? 'created' : 'updated',
      version: (entry?.version ?? 0) + 1,
    });
  }
  if (!prune) return changes;
  const named = new Set(drafts.map(({ kind, id }) => `${kind}/${id}`));
  for (const { kind, id, version, data, workspaceId: owner } of current) {
    if (owner !== workspaceId || data === null || named.has(`${kind}/${id}`)) continue;
    changes.push({ kind, id, data: null, change: 'removed', version: version + 1 });
  }
  return changes;
}

/** Ids and slugs that another workspace already has. */
export function conflictsOf(
  workspaceId: string,
  drafts: readonly AnyDraft[],
  current: readonly Current[],
): Conflict[] {
  const others = current.filter(
    (entry) => entry.workspaceId !== workspaceId && entry.data !== null,
  );
  const taken = new Set(others.map(({ kind, id }) => `${kind}/${id}`));
  const slugs = new Set(others.flatMap(({ data }) => (data && 'slug' in data ? data.slug : [])));
  return drafts.flatMap(({ kind, id, data }) => {
    const isTaken = taken.has(`${kind}/${id}`);
    const isSlugTaken = 'slug' in data && slugs.has(data.slug);
    if (!isTaken && !isSlugTaken) return [];
    const what = isTaken ? 'id' : 'slug';
    return [{ kind, id, reason: `another workspace already has a ${kind} with this ${what}` }];
  });
}

/** The drafts as they would stand together with what is kept; what references are checked on. */
export function merged(
  workspaceId: string,
  drafts: readonly AnyDraft[],
  current: readonly Current[],
): AnyDraft[] {
  const named = new Set(drafts.map(({ kind, id }) => `${kind}/${id}`));
  const kept = current
    .filter((entry) => entry.workspaceId === workspaceId && entry.data !== null)
    .filter(({ kind, id }) => !named.has(`${kind}/${id}`));
  return [...drafts, ...(kept as AnyDraft[])];
}

/** Equal whatever the order of keys: the database does not keep it. */
function isSame(a: unknown, b: unknown): boolean {
  return canonical(a) === canonical(b);
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const fields = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${canonical(field)}`).join()}}`;
}

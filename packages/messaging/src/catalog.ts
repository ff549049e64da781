/** The catalog as every service sees it: a copy in memory that follows stream CATALOG. */
import {
  type CatalogEntry,
  catalogEntrySchema,
  type CatalogItem,
  type CatalogKind,
  catalogKinds,
  type Decoder,
  decoder,
  parseJson,
} from '@rastro/events';
import type { Nats } from './connection.ts';
import { follow } from './follow.ts';

/** One entry with the workspace that owns it. */
export interface Owned<K extends CatalogKind> {
  readonly workspaceId: string;
  readonly version: number;
  readonly item: CatalogItem<K>;
}

/** What is set up right now. Ids are unique across workspaces, per kind. */
export class Catalog {
  readonly #entries = new Map<string, CatalogEntry>();
  readonly #byWorkspace = new Map<string, readonly CatalogItem<CatalogKind>[]>();

  get<K extends CatalogKind>(kind: K, id: string): Owned<K> | undefined {
    const entry = this.#entries.get(`${kind}/${id}`);
    return entry && (owned(entry) as Owned<K> | undefined);
  }

  list<K extends CatalogKind>(kind: K): Owned<K>[] {
    return this.entries().flatMap((entry) =>
      entry.kind === kind ? ((owned(entry) as Owned<K>) ?? []) : [],
    );
  }

  /** Of one workspace; looked up for every event, so it is kept until an entry changes. */
  itemsOf<K extends CatalogKind>(kind: K, workspaceId: string): readonly CatalogItem<K>[] {
    const key = `${kind} ${workspaceId}`;
    const items =
      this.#byWorkspace.get(key) ??
      this.list(kind).flatMap((known) => (known.workspaceId === workspaceId ? known.item : []));
    this.#byWorkspace.set(key, items);
    return items as readonly CatalogItem<K>[];
  }

  entries(): CatalogEntry[] {
    return [...this.#entries.values()];
  }

  /** An older version than the one known changes nothing. */
  apply(entry: CatalogEntry): void {
    const key = `${entry.kind}/${entry.id}`;
    const known = this.#entries.get(key);
    if (known && known.version > entry.version) return;
    this.#entries.set(key, entry);
    this.#byWorkspace.clear();
  }
}

function owned(entry: CatalogEntry): Owned<CatalogKind> | undefined {
  const { workspaceId, version, data } = entry;
  return data === null ? undefined : { workspaceId, version, item: data };
}

const decoders = new Map<string, Decoder<unknown>>(
  catalogKinds.map((kind) => [kind, decoder(catalogEntrySchema(kind))]),
);

/** Reads one message of stream CATALOG, or one entry of a snapshot. */
export function parseCatalogEntry(text: string): CatalogEntry | undefined {
  const json = parseJson(text);
  const kind = json.ok ? (json.value as { kind?: unknown } | null)?.kind : undefined;
  const decoded =
    typeof kind === 'string' && json.ok ? decoders.get(kind)?.(json.value) : undefined;
  return decoded?.ok ? (decoded.value as CatalogEntry) : undefined;
}

export interface FollowCatalogOptions {
  readonly catalog: Catalog;
  /** After an entry was applied. */
  readonly onChange?: (entry: CatalogEntry) => void;
}

/** Resolves as soon as the copy is complete, and keeps it so until disposed of. */
export function followCatalog(nats: Nats, options: FollowCatalogOptions): Promise<AsyncDisposable> {
  const { catalog, onChange } = options;
  return follow(nats, {
    stream: 'CATALOG',
    onMessage: (text, subject) => {
      const entry = parseCatalogEntry(text);
      if (!entry) {
        nats.log.error({ subject }, 'a catalog entry cannot be read; it is left out');
        return;
      }
      catalog.apply(entry);
      onChange?.(entry);
    },
  });
}

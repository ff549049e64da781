-- The newest state of each catalog entry. Ids are unique per kind across workspaces, since they
-- stand in public addresses (/go/<slug>, /telegram/<botId>, /webhooks/<accountId>).
create table entries (
  kind text not null,
  id text not null,
  workspace_id text not null,
  version integer not null check (version >= 1),
  -- null once removed: the version must go on rising for those who follow.
  data jsonb,
  changed_at timestamptz not null,
  -- Version that stream CATALOG has confirmed; behind `version` until then.
  published_version integer not null default 0,
  primary key (kind, id)
);

create index entries_by_workspace on entries (workspace_id);
create index entries_unpublished on entries (kind, id) where published_version < version;

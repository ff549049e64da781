-- What Meta says of the events it receives: the last reading of each day (UTC), for 90 days.
create table dataset_quality (
  workspace_id text not null,
  pixel_id text not null,
  day date not null,
  event_name text not null,
  read_at timestamptz not null,
  -- Event Match Quality, 0 to 10. Whatever Meta left out is null.
  composite_score double precision,
  -- [{"identifier": "fbc", "percentage": 98.2}]
  match_keys jsonb not null,
  coverage double precision,
  coverage_goal double precision,
  -- [{"key": "event_id", "browser": 100, "server": 100, "joined": 81.5}]
  dedupe_keys jsonb not null,
  upload_frequency text,
  acr double precision,
  -- [{"name", "description", "solution", "percentage", "affected", "total"}]
  diagnostics jsonb not null,
  primary key (workspace_id, pixel_id, day, event_name)
);

-- One row per pixel: whose turn it is, and how the last question ended. Shared by all dispatchers.
create table quality_reads (
  workspace_id text not null,
  pixel_id text not null,
  next_at timestamptz not null default now(),
  -- Fingerprint of the sealed tokens that the catalog had: another one lifts a refusal.
  asked_with text,
  asked_at timestamptz,
  outcome text check (outcome in ('read', 'refused', 'throttled', 'failed')),
  -- Why the last question brought nothing, for people.
  reason text,
  code integer,
  subcode integer,
  -- The last time that it brought something.
  read_at timestamptz,
  primary key (workspace_id, pixel_id)
);

-- The age of the oldest parked event is one look-up a lane, however many are parked.
create index conversions_parked_by_age on conversions
  (workspace_id, pixel_id, event_name, event_time) where state = 'parked';
drop index conversions_parked;

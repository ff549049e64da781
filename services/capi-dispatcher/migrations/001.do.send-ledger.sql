-- What is known about one click's journey, merged from events in whatever order they came.
create table journeys (
  tracking_token text primary key,
  workspace_id text not null,
  journey jsonb not null,
  updated_at timestamptz not null default now()
);

-- What is known about one payment: PaymentPaid and DeliveryViewed stand in any order.
create table orders (
  payment_id uuid primary key,
  workspace_id text not null,
  tracking_token text,
  paid jsonb,
  viewed jsonb,
  updated_at timestamptz not null default now()
);
create index orders_by_token on orders (tracking_token) where tracking_token is not null;

-- One row per logical event: what makes it one at Meta is the unique key.
create table conversions (
  id uuid primary key,
  workspace_id text not null,
  -- '' where the pool has no pixel: such a row is only ever skipped.
  pixel_id text not null,
  pool_id text,
  event_name text not null check (event_name in ('PageView', 'Purchase')),
  event_id text not null,
  tracking_token text,
  payment_id uuid,
  state text not null check (state in ('waiting', 'due', 'sending', 'accepted', 'rejected',
    'unconfirmed', 'parked', 'expired', 'dead', 'skipped')),
  -- Why it is skipped, rejected, dead…, for people.
  reason text,
  due_at timestamptz not null,
  -- Unix seconds, stamped once.
  event_time bigint not null,
  locked_until timestamptz,
  locked_by text,
  attempts integer not null default 0,
  first_attempt_at timestamptz,
  -- First attempt that Meta may have taken without our knowing: from here 48 hours count.
  unknown_since timestamptz,
  -- The event's own JSON, byte for byte as first sent; repeats send the same.
  body text,
  test_event_code text,
  http_status integer,
  code integer,
  subcode integer,
  fbtrace_id text,
  -- Number of events in stream conversion-<id>.
  version integer not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  accepted_at timestamptz,
  unique (pixel_id, event_name, event_id)
);
create index conversions_agenda on conversions (workspace_id, pixel_id, event_name, due_at)
  where state in ('waiting', 'due', 'unconfirmed');
create index conversions_leased on conversions (locked_until) where state = 'sending';
create index conversions_parked on conversions (workspace_id, pixel_id) where state = 'parked';
create index conversions_by_token on conversions (tracking_token)
  where tracking_token is not null;
create index conversions_by_payment on conversions (payment_id) where payment_id is not null;

-- One row per call to Meta, redacted.
create table attempts (
  id uuid primary key,
  workspace_id text not null,
  pixel_id text not null,
  event_name text not null,
  conversion_ids uuid[] not null,
  started_at timestamptz not null,
  duration_ms integer not null,
  outcome text not null,
  http_status integer,
  code integer,
  subcode integer,
  fbtrace_id text,
  messages jsonb,
  reason text,
  request jsonb not null,
  answer text
);
create index attempts_by_conversion on attempts using gin (conversion_ids);
create index attempts_by_time on attempts (started_at);

-- One row per pixel: its lanes exist because the row does; shared by all dispatchers.
create table pixels (
  workspace_id text not null,
  pixel_id text not null,
  state text not null default 'open' check (state in ('open', 'parked')),
  probe_at timestamptz,
  -- Fingerprints (truncated SHA-256) of tokens that Meta refused since they last worked.
  failed_tokens text[] not null default '{}',
  paused_until timestamptz,
  -- Consecutive throttled answers: the exponent of the pause.
  throttles integer not null default 0,
  -- Number of events in stream pixel-<workspace>-<id>.
  version integer not null default 0,
  primary key (workspace_id, pixel_id)
);

-- What bot-funnel knows beside its event streams.

-- Ad clicks that a /start may name; filled from ClickTracked.
create table clicks (
  tracking_token text primary key,
  workspace_id text not null,
  pool_id text not null,
  bot_id text not null,
  clicked_at timestamptz not null
);

-- One row per bot and Telegram user; its lock makes writers of one lead take turns.
create table leads (
  lead_id uuid primary key,
  workspace_id text not null,
  bot_id text not null,
  telegram_user_id bigint not null,
  created_at timestamptz not null default now(),
  unique (bot_id, telegram_user_id)
);

-- A funnel as it stood when somebody entered it: who is inside version 3 finishes version 3.
create table funnel_versions (
  snapshot_id bigint generated always as identity primary key,
  workspace_id text not null,
  funnel_id text not null,
  version integer not null,
  steps jsonb not null,
  unique (workspace_id, funnel_id, version)
);

-- What payment-confirmer said about a lead's checkouts: the other half of the lead's history.
create table observed_payments (
  position bigint generated always as identity primary key,
  lead_id uuid not null references leads,
  event_id uuid not null unique,
  event jsonb not null
);
create index observed_payments_by_lead on observed_payments (lead_id, position);

-- Charges to ask payment-confirmer for. A lease, renewed while its process lives, keeps a second
-- process away; `round` rises when the customer asks again after we gave up.
create table payment_requests (
  checkout_id uuid primary key,
  lead_id uuid not null references leads,
  request jsonb not null,
  status text not null default 'pending' check (status in ('pending', 'done', 'failed')),
  round integer not null default 1,
  attempts integer not null default 0,
  is_customer_told boolean not null default false,
  requested_at timestamptz not null default now(),
  next_attempt_at timestamptz not null default now(),
  leased_until timestamptz not null default '-infinity',
  last_error text
);
create index payment_requests_due on payment_requests (next_attempt_at) where status = 'pending';

-- The outbox to Telegram. `sending` is committed before Telegram is called, so that after a crash
-- it is known which outcomes are unknown.
create table messages (
  position bigint generated always as identity primary key,
  message_id uuid not null unique,
  lead_id uuid not null references leads,
  workspace_id text not null,
  bot_id text not null,
  chat_id bigint not null,
  tracking_token text,
  kind text not null,
  content jsonb not null,
  -- Names what must be said only once, e.g. `delivery:<payment id>`.
  once_key text,
  status text not null default 'queued' check (status in ('queued', 'sending', 'sent', 'failed')),
  attempts integer not null default 0,
  -- Of a message that takes several calls, how many Telegram has accepted.
  parts_sent integer not null default 0,
  -- Events recorded in stream `message-<message id>`.
  stream_version integer not null default 0,
  created_at timestamptz not null default now(),
  next_attempt_at timestamptz not null default now(),
  leased_until timestamptz not null default '-infinity',
  telegram_message_id bigint,
  error_code integer,
  error text,
  unique (lead_id, once_key)
);
create index messages_waiting on messages (bot_id, chat_id, position)
  where status in ('queued', 'sending');
create index messages_due on messages (next_attempt_at) where status in ('queued', 'sending');
create index messages_kept on messages (lead_id) where status = 'failed';

create table bot_health (
  bot_id text primary key,
  health text not null check (health in ('healthy', 'unhealthy')),
  reason text,
  changed_at timestamptz not null
);

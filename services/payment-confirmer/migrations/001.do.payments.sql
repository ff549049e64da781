-- One row a checkout: what is to be charged, committed before a gateway is asked, so that a crash
-- in between asks for the same charge again. The payment's history is in `events`.

create table charges (
  payment_id uuid primary key,
  checkout_id uuid not null unique,
  workspace_id text not null,
  account_id text not null,
  bot_id text not null,
  pool_id text,
  lead_id uuid,
  telegram_user_id bigint,
  tracking_token text,
  product_id text not null,
  product_name text not null,
  amount_cents bigint not null check (amount_cents >= 0),
  currency text not null,
  expires_in_seconds integer not null,
  callback_url text not null,
  state text not null default 'creating' check (state in ('creating', 'open')),
  created_at timestamptz not null default now(),
  -- From here on: known once the gateway has made the charge.
  gateway_charge_id text,
  pix_code text,
  expires_at timestamptz,
  -- The payment's status as `events` has it, kept in the same transaction.
  status text not null default 'pending',
  -- Questions to the gateway are numbered: an answer that was overtaken is not believed.
  asked_count integer not null default 0,
  answered_count integer not null default 0,
  asked_at timestamptz,
  next_check_at timestamptz,
  check (state = 'creating' or num_nulls(gateway_charge_id, pix_code, expires_at) = 0)
);

create unique index charges_by_gateway on charges (account_id, gateway_charge_id);
create index charges_due on charges (next_check_at) where next_check_at is not null;

-- Webhooks that were proven to come from the gateway, without a word about the payer.
create table webhooks (
  id bigint generated always as identity primary key,
  account_id text not null,
  -- The gateway's own id of the message, the same for each delivery.
  webhook_id text not null,
  kind text not null,
  workspace_id text not null,
  type text not null,
  charge_id text,
  reference text,
  amount_cents bigint,
  currency text,
  record jsonb not null,
  received_at timestamptz not null default now(),
  -- Set ahead while somebody works on it: a lease that a crash lets run out.
  next_attempt_at timestamptz not null default now(),
  attempts integer not null default 0,
  processed_at timestamptz,
  outcome text,
  unique (account_id, webhook_id)
);

create index webhooks_waiting on webhooks (next_attempt_at) where processed_at is null;

-- What a funnel does by itself later, and what a customer's data needs.

-- A whole funnel as it stood; `steps` alone is what earlier versions kept.
alter table funnel_versions add column definition jsonb;

-- One timer of each key and lead. `due_at` is also its identity: one that was set anew meanwhile
-- is not fired by whoever had claimed the old one.
create table timers (
  lead_id uuid not null references leads,
  key text not null,
  timer jsonb not null,
  due_at timestamptz not null,
  leased_until timestamptz not null default '-infinity',
  primary key (lead_id, key)
);
create index timers_due on timers (due_at);

-- The last ad click of a lead, so that it survives when a customer goes on in another bot of the
-- pool; and the erasure that a customer asked for.
alter table leads add column tracking_token text;
alter table leads add column pool_id text;
alter table leads add column bound_at timestamptz;
alter table leads add column erased_at timestamptz;
alter table leads alter column telegram_user_id drop not null;
create index leads_bound on leads (workspace_id, telegram_user_id) where tracking_token is not null;

-- What a charge's proof is compared with, beside amount, currency and reference: as the gateway told
-- it when the charge was made.

alter table charges
  add column receiver text,
  add column is_test_mode boolean,
  -- What a proven webhook says was paid, at gateways whose API tells no amount.
  add column told_cents bigint,
  add column opened_at timestamptz,
  -- When somebody last wanted a question that was not planned, and how many are to follow it.
  add column wanted_at timestamptz,
  add column follow_ups_left integer not null default 0;

update charges set opened_at = created_at where state = 'open';

alter table webhooks
  -- A status of which only webhooks speak at this gateway.
  add column claim text;

-- Kept for 90 days.
create index webhooks_by_age on webhooks (received_at);

-- How a bot is, as all processes that watch it agree: the breaker's state, what was last told to
-- the others of it, and what stands for the webhook that was registered (a secret cannot be read
-- back). A row without health belongs to a bot of which nothing is known yet.
alter table bot_health
  alter column health drop not null,
  alter column changed_at drop not null,
  add column share_percent integer check (share_percent between 1 and 99),
  add column breaker jsonb,
  add column webhook_fingerprint text;

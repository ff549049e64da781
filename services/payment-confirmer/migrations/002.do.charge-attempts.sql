-- One row an account that was asked for a payment's charge, committed before it is asked: one of
-- them becomes the charge in `charges`; another may exist all the same, where an answer was lost.

create table charge_attempts (
  payment_id uuid not null references charges,
  account_id text not null,
  -- Sent again as it was: a gateway takes the same key with another body for a mistake.
  callback_url text not null,
  asked_count integer not null default 1,
  asked_at timestamptz not null default now(),
  -- As the gateway answered; null where it made none, or did and we never heard.
  gateway_charge_id text,
  -- Why the last attempt opened nothing.
  problem text,
  primary key (payment_id, account_id)
);

create index charge_attempts_by_gateway on charge_attempts (account_id, gateway_charge_id)
  where gateway_charge_id is not null;

insert into charge_attempts (payment_id, account_id, callback_url, asked_at, gateway_charge_id)
  select payment_id, account_id, callback_url, created_at, gateway_charge_id from charges;

alter table charges drop column callback_url;

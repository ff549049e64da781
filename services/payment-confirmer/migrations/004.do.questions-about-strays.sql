alter table charge_attempts
  -- When the gateway was last asked about a charge of this account that no customer was shown; the
  -- shown one has its own clock, `charges.asked_at`.
  add column questioned_at timestamptz,
  -- Charges that were paid although the payment needed no money any more: told once each.
  add column surplus_charge_ids text[] not null default '{}';

-- An operator compares whole days with the gateways.
create index charges_by_age on charges (created_at);

-- The tables that every service with a truth of its own has in its own schema.

create table events (
  global_position bigint generated always as identity,
  stream_id text not null,
  version integer not null check (version >= 1),
  event_id uuid not null unique,
  type text not null,
  event jsonb not null,
  recorded_at timestamptz not null default now(),
  primary key (stream_id, version)
);

-- `rastro republish` reads in the order of recording.
create unique index events_by_position on events (global_position);

-- What has been said but not yet confirmed by JetStream. A row is deleted only after its PubAck,
-- so a transaction that commits late can be published late but never be skipped.
create table outbox (
  position bigint generated always as identity primary key,
  event jsonb not null
);

-- Which messages a consumer has already acted upon, in the same transaction as the action.
create table inbox (
  consumer text not null,
  message_id text not null,
  handled_at timestamptz not null default now(),
  primary key (consumer, message_id)
);

create function notify_outbox() returns trigger language plpgsql as $$
begin
  perform pg_notify('rastro_outbox', tg_table_schema);
  return null;
end
$$;

create trigger outbox_filled after insert on outbox
  for each statement execute function notify_outbox();

-- A row of the outbox names its event instead of holding a copy of it: half of what is written.
alter table outbox add column event_position bigint;
update outbox set event_position =
  (select global_position from events where event_id = (outbox.event->>'id')::uuid);
alter table outbox alter column event_position set not null, drop column event;

-- What retention and a rebuild look for in the log: a stretch of time, and what came after a
-- position. Rows arrive nearly in the order of both, so a summary of blocks finds them at almost
-- no cost to whoever inserts.
create index event_log_by_block on event_log
  using brin (time, position) with (pages_per_range = 32, autosummarize = on);

-- `GET /api/tracking?fbclid=`: the newest token of a click id.
create index meta_tracking_sessions_by_fbclid on meta_tracking_sessions (fbclid, created_at)
  where fbclid is not null;

-- A state is longer than a row likes to be, and is compressed with each change. LZ4 takes a fraction
-- of the time of Postgres' own way; a Postgres that was built without it goes on as before.
do $$
begin
  alter table sessions alter column state set compression lz4;
exception when feature_not_supported then
  raise notice 'this Postgres has no LZ4';
end
$$;

-- How far a job of retention has come: all events before `done_until` are dealt with.
create table retention_progress (
  job text primary key,
  done_until timestamptz not null
);

-- Tokens that had events in a month that was dropped, until their session is made again of what is
-- left. A table, so that a crash between the two forgets nobody.
create table retention_backlog (
  tracking_token text primary key
);

-- Like ensure_event_log_partition: the service's role may not drop tables, so this runs with the
-- rights of its owner, and only for whole months that are over for a month at least. `lock_timeout`
-- because dropping waits for readers of the log, and everybody who stores would wait behind it.
create function drop_event_log_partition(month date) returns boolean
language plpgsql security definer set lock_timeout = '5s' as $$
declare
  first_day constant date := date_trunc('month', month)::date;
  partition constant text := 'event_log_' || to_char(first_day, 'YYYY_MM');
begin
  if first_day >= date_trunc('month', now() at time zone 'UTC') - interval '1 month' then
    raise exception 'the events of % are too young to be dropped',
      to_char(first_day, 'YYYY-MM') using errcode = 'invalid_parameter_value';
  end if;
  perform pg_advisory_xact_lock(hashtextextended('rastro_event_log_partition', 0));
  if not exists (
    select from pg_inherits
    where inhparent = 'event_log'::regclass and inhrelid = to_regclass(partition)
  ) then
    return false;
  end if;
  execute format('drop table %I', partition);
  -- A rebuild then knows which days the log can no longer tell of.
  insert into retention_progress (job, done_until)
  values ('months', (first_day + interval '1 month')::timestamp at time zone 'UTC')
  on conflict (job) do update
    set done_until = greatest(retention_progress.done_until, excluded.done_until);
  return true;
end
$$;

-- A fixed search path: a caller must not be able to put tables of its own in front of ours.
do $$
begin
  execute format(
    'alter function drop_event_log_partition(date) set search_path = %I, pg_temp',
    current_schema()
  );
end
$$;

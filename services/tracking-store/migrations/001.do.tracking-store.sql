-- Every event of the house, as it was said. Rows are only ever added; whole months are dropped.
-- `json`, not `jsonb`: it keeps what was said byte for byte, and takes any string JSON can hold.
create sequence event_log_position;

create table event_log (
  event_id uuid not null,
  time timestamptz not null,
  -- Order of storing, with gaps; two transactions may commit in the other order.
  position bigint not null default nextval('event_log_position'),
  stored_at timestamptz not null default now(),
  workspace_id text not null,
  type text not null,
  -- The journey that the event belongs to, where there is one.
  tracking_token text,
  event json not null,
  -- An event's time never changes, so this makes the event id unique across months too.
  primary key (event_id, time)
) partition by range (time);

create index event_log_by_journey on event_log (tracking_token, time)
  where tracking_token is not null;

-- The service's role may not create tables, so this runs with the rights of its owner. Only roles
-- with usage on the schema can reach it. A table is made apart and then attached, since that,
-- unlike `create table ... partition of`, lets inserts into the other months go on.
create function ensure_event_log_partition(month date) returns boolean
language plpgsql security definer as $$
declare
  first_day constant date := date_trunc('month', month)::date;
  partition constant text := 'event_log_' || to_char(first_day, 'YYYY_MM');
begin
  if first_day < date '2020-01-01' or first_day > (now() + interval '13 months')::date then
    raise exception 'no event can be of %: events are kept from 2020 until a year ahead',
      to_char(first_day, 'YYYY-MM') using errcode = 'datetime_field_overflow';
  end if;
  perform pg_advisory_xact_lock(hashtextextended('rastro_event_log_partition', 0));
  if to_regclass(partition) is not null then
    return false;
  end if;
  execute format('create table %I (like event_log including defaults)', partition);
  execute format(
    'alter table event_log attach partition %I for values from (%L) to (%L)',
    partition,
    first_day::timestamp at time zone 'UTC',
    (first_day + interval '1 month')::timestamp at time zone 'UTC'
  );
  return true;
end
$$;

-- A fixed search path: a caller must not be able to put tables of its own in front of ours.
do $$
begin
  execute format(
    'alter function ensure_event_log_partition(date) set search_path = %I, pg_temp',
    current_schema()
  );
end
$$;

select ensure_event_log_partition((now() at time zone 'UTC' + make_interval(months => ahead))::date)
from generate_series(0, 3) as ahead;

-- What is known of one journey. `state` is the whole of it, as core/session.ts merges it; the other
-- columns repeat what is asked for by SQL.
create table sessions (
  tracking_token text not null,
  workspace_id text not null,
  -- Number of events in it; tells a cached copy from the newest.
  version integer not null,
  first_event_at timestamptz not null,
  last_event_at timestamptz not null,
  clicked_at timestamptz,
  pool_id text,
  slug text,
  bot_id text,
  pixel_id text,
  landing_url text,
  referrer text,
  visitor_id uuid,
  client_ip text,
  user_agent text,
  language text,
  utm_source text,
  utm_medium text,
  utm_campaign text,
  utm_content text,
  utm_term text,
  src text,
  sck text,
  traffic_class text,
  class_reasons text[],
  consent text,
  lead_id uuid,
  telegram_user_id bigint,
  funnel_started_at timestamptz,
  step_id text,
  is_blocked boolean,
  payment_id uuid,
  payment_status text,
  amount_cents bigint,
  currency text,
  paid_at timestamptz,
  delivery_viewed_at timestamptz,
  page_view_status text,
  purchase_status text,
  state json not null,
  primary key (tracking_token, workspace_id)
);

-- Meta's side of a journey, one row a token, for whoever reads it with SQL.
create table meta_tracking_sessions (
  -- The token in its dashed form, so that a rebuild gives the same row.
  id uuid primary key,
  tracking_token text not null unique,
  root_event_id text not null,
  pageview_sent boolean not null default false,
  pageview_sent_at timestamptz,
  fbclid text,
  fbc text,
  fbp text,
  user_external_id text,
  created_at timestamptz not null,
  updated_at timestamptz not null
);

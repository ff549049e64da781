-- Which ad a click came through, split from the link's parameters. Sessions of before have theirs
-- with their next event, or all at once with a rebuild.
alter table sessions
  add column campaign_name text,
  add column campaign_id text,
  add column adset_name text,
  add column adset_id text,
  add column ad_name text,
  add column ad_id text,
  add column placement text;

-- How many clicks each pool sent to each bot, by day and class of traffic; from events alone.
create table click_counts (
  workspace_id text not null,
  -- Of the click, UTC.
  day date not null,
  pool_id text not null,
  bot_id text not null,
  traffic_class text not null,
  clicks bigint not null,
  primary key (workspace_id, day, pool_id, bot_id, traffic_class)
);

-- Clicks of before: one a session, since a token is minted for each click. Not from `event_log`,
-- whose JSON may hold \u0000, which no operator of Postgres reads.
insert into click_counts
select workspace_id, (clicked_at at time zone 'UTC')::date, pool_id, bot_id, traffic_class, count(*)
from sessions
where clicked_at is not null
group by 1, 2, 3, 4, 5;

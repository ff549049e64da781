-- Sending by lanes: one row per chat says when it may be sent to again and who is sending, so that
-- finding work does not depend on how much is waiting.
create table chat_lanes (
  bot_id text not null,
  chat_id bigint not null,
  is_waiting boolean not null,
  -- The pace, a retry, or while a process sends the end of its lease.
  due_at timestamptz not null default now(),
  -- Of whoever sends now; whoever comes late with another one changes nothing.
  lease_id uuid,
  -- Refused by its owner: what is said there is kept for his return, without asking Telegram.
  is_blocked boolean not null default false,
  primary key (bot_id, chat_id)
);
create index chat_lanes_due on chat_lanes (bot_id, due_at) where is_waiting;

-- How fast a bot may be used, over all processes (the generic cell rate algorithm).
create table bot_paces (
  bot_id text primary key,
  paced_until timestamptz not null default now(),
  -- Refused as a whole: too many calls, or its token.
  paused_until timestamptz not null default '-infinity'
);

update messages set status = 'queued' where status = 'sending';
insert into chat_lanes (bot_id, chat_id, is_waiting, due_at)
  select bot_id, chat_id, true, least(max(next_attempt_at), now() + interval '1 minute')
  from messages where status = 'queued' group by bot_id, chat_id;
insert into bot_paces (bot_id) select distinct bot_id from messages;

alter table messages
  drop column next_attempt_at,
  drop column leased_until,
  drop constraint messages_status_check,
  add constraint messages_status_check check (status in ('queued', 'sent', 'failed')),
  -- The message that was sent to be edited into the next part.
  add column placeholder_id bigint,
  -- Telegram did not take an address of the next part as a button.
  add column is_without_links boolean not null default false;
drop index messages_waiting;
create index messages_waiting on messages (bot_id, chat_id, position) where status = 'queued';

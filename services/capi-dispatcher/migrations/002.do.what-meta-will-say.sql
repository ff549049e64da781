-- Both frozen with the body: who Meta can match the event by, and what it is likely to complain of.
alter table conversions
  add column match_keys text[],
  -- [{"code": "…", "detail": "…"}], see core/lint.ts.
  add column complaints jsonb,
  -- An operator sends it although it is old: alone, so that it spoils no batch.
  add column is_forced boolean not null default false;

-- An event's calls lie between its first attempt and its last change: no index over every
-- event of every call is worth its writes.
drop index attempts_by_conversion;
create index attempts_by_lane on attempts (pixel_id, event_name, started_at);

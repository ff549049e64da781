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

-- A PageView is found by `evt_<tracking token>`, a Purchase by `purchase_<payment id>`: one index
-- that begins with the event's id does for both, and for the uniqueness.
alter table conversions
  drop constraint conversions_pixel_id_event_name_event_id_key,
  add constraint conversions_once unique (event_id, pixel_id, event_name);
drop index conversions_by_token;
drop index conversions_by_payment;

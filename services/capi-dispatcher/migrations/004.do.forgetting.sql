-- How far each sweep of the ledger has come: ids begin with the time.
create table swept (
  what text primary key,
  position uuid not null
);
insert into swept (what, position) values ('addresses', '00000000-0000-0000-0000-000000000000');

-- migrate:up

-- Of an encrypted message, whether what the reporter gave away is what its author said; null where nothing was.
alter table reports add column proved boolean;

-- Moderators are in no direct room: they find its reports here.
create index reports_direct on reports (status, id) where room_id like 'dm:%';

-- The operations on reports after `since`.
create or replace function chat_apply_reports(room text, ops jsonb, since bigint) returns void
language plpgsql as $$
begin
  -- A room forgets closed reports in the end; the same user's next one of the same message takes the place of the old.
  insert into reports (id, room_id, message_id, reporter_id, reason, details, quoted, proved, status, created_at)
  select distinct on (2, 3, 4) (o ->> 'id')::uuid, room, (o ->> 'message_id')::uuid, o ->> 'reporter_id',
    o ->> 'reason', o ->> 'details', o ->> 'quoted', (o ->> 'proved')::boolean, 'open', chat_time(o ->> 'at')
  from chat_ops(ops, 'report', since)
  order by 2, 3, 4, seq desc
  on conflict (message_id, reporter_id) do update set id = excluded.id, reason = excluded.reason,
    details = excluded.details, quoted = excluded.quoted, proved = excluded.proved, status = excluded.status, created_at = excluded.created_at,
    resolved_at = null, resolved_by = null, resolution = null
  where reports.room_id = room and reports.id <> excluded.id;

  update reports r set status = o ->> 'status', resolved_at = chat_time(o ->> 'at'), resolved_by = o ->> 'by',
    resolution = o ->> 'resolution'
  from (
    select distinct on (x.o ->> 'id') x.o from chat_ops(ops, 'resolve_report', since) x
    order by x.o ->> 'id', x.seq desc
  ) last
  where r.id = (o ->> 'id')::uuid and r.room_id = room;

  -- The room says when its time is over: the copy of a message goes 30 days after it was reported.
  update reports r set quoted = null
  from (select max((o ->> 'before')::bigint) as before from chat_ops(ops, 'forget_quotes', since)) gone
  where r.room_id = room and r.quoted is not null and r.created_at < chat_time(gone.before::text);
end
$$;

-- migrate:down

-- The operations on reports after `since`.
create or replace function chat_apply_reports(room text, ops jsonb, since bigint) returns void
language plpgsql as $$
begin
  -- A room forgets closed reports in the end; the same user's next one of the same message takes the place of the old.
  insert into reports (id, room_id, message_id, reporter_id, reason, details, quoted, status, created_at)
  select distinct on (2, 3, 4) (o ->> 'id')::uuid, room, (o ->> 'message_id')::uuid, o ->> 'reporter_id',
    o ->> 'reason', o ->> 'details', o ->> 'quoted', 'open', chat_time(o ->> 'at')
  from chat_ops(ops, 'report', since)
  order by 2, 3, 4, seq desc
  on conflict (message_id, reporter_id) do update set id = excluded.id, reason = excluded.reason,
    details = excluded.details, quoted = excluded.quoted, status = excluded.status, created_at = excluded.created_at,
    resolved_at = null, resolved_by = null, resolution = null
  where reports.room_id = room and reports.id <> excluded.id;

  update reports r set status = o ->> 'status', resolved_at = chat_time(o ->> 'at'), resolved_by = o ->> 'by',
    resolution = o ->> 'resolution'
  from (
    select distinct on (x.o ->> 'id') x.o from chat_ops(ops, 'resolve_report', since) x
    order by x.o ->> 'id', x.seq desc
  ) last
  where r.id = (o ->> 'id')::uuid and r.room_id = room;

  -- The room says when its time is over: the copy of a message goes 30 days after it was reported.
  update reports r set quoted = null
  from (select max((o ->> 'before')::bigint) as before from chat_ops(ops, 'forget_quotes', since)) gone
  where r.room_id = room and r.quoted is not null and r.created_at < chat_time(gone.before::text);
end
$$;

drop index reports_direct;
alter table reports drop column proved;

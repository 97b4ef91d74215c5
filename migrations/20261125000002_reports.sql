-- migrate:up

-- The operations on reports after `since`.
create function chat_apply_reports(room text, ops jsonb, since bigint) returns void
language plpgsql as $$
begin
  insert into reports (id, room_id, message_id, reporter_id, reason, details, quoted, status, created_at)
  select (o ->> 'id')::uuid, room, (o ->> 'message_id')::uuid, o ->> 'reporter_id', o ->> 'reason', o ->> 'details',
    o ->> 'quoted', 'open', chat_time(o ->> 'at')
  from chat_ops(ops, 'report', since)
  on conflict do nothing;

  update reports r set status = o ->> 'status', resolved_at = chat_time(o ->> 'at'), resolved_by = o ->> 'by',
    resolution = o ->> 'resolution'
  from chat_ops(ops, 'resolve_report', since) x
  where r.id = (x.o ->> 'id')::uuid and r.room_id = room;
end
$$;

-- migrate:down

drop function chat_apply_reports(text, jsonb, bigint);

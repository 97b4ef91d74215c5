-- migrate:up

-- What was typed where a filter masked some of it, and why; for moderators. And the id under which a message waited.
alter table messages add column original text, add column reasons jsonb, add column held_id uuid;

-- A room's own words and phrases: {"blocked", "allowed", "action"}.
alter table rooms add column terms jsonb not null default '{}';

-- Messages that wait for a moderator. A row goes when that has been decided.
create table held (
  id uuid primary key,
  room_id text not null,
  user_id text not null,
  -- The message as the log holds it, so that a room that lost its storage still has its queue.
  message jsonb not null,
  reasons jsonb not null,
  created_at timestamptz not null,
  expires_at timestamptz not null
);
create index held_by_room on held (room_id);

-- The operations of moderation after `since`, once those of chat_apply_log are written.
create function chat_apply_moderation(room text, ops jsonb, since bigint) returns void
language plpgsql as $$
begin
  update messages m set original = o ->> 'original', reasons = nullif(o -> 'reasons', '[]')
  from (
    select distinct on (x.o ->> 'id') x.o from chat_ops(ops, 'original', since) x order by x.o ->> 'id', x.seq desc
  ) last
  where m.id = (o ->> 'id')::uuid and m.room_id = room and m.deleted_at is null;

  update messages m set held_id = (o ->> 'held_id')::uuid
  from chat_ops(ops, 'original', since)
  where m.id = (o ->> 'id')::uuid and m.room_id = room and o ->> 'held_id' is not null;

  update messages m set original = null, reasons = null
  from chat_changes(ops, since) c
  where c.deleted_at is not null and m.id = c.id and m.room_id = room and m.original is not null;

  insert into held (id, room_id, user_id, message, reasons, created_at, expires_at)
  select (o ->> 'id')::uuid, room, o ->> 'user_id', o -> 'message', o -> 'reasons', chat_time(o ->> 'created_at'),
    chat_time(o ->> 'expires_at')
  from chat_ops(ops, 'held', since)
  on conflict do nothing;

  delete from held h using chat_ops(ops, 'held_end', since) x
  where h.id = (x.o ->> 'id')::uuid and h.room_id = room;

  update rooms set terms = (select o -> 'terms' from chat_ops(ops, 'terms', since) order by seq desc limit 1)
  where id = room and exists (select from chat_ops(ops, 'terms', since));
end
$$;

alter function chat_apply_room(jsonb) rename to chat_apply_log;

-- Writes one batch, a room's or a user's, and moves a room's cursor; returns the cursor as it then is. Raises on
-- anything that cannot be written, and then nothing of the batch is.
create function chat_apply_room(b jsonb) returns jsonb
language plpgsql as $$
declare
  room text := b ->> 'room_id';
  ops jsonb := b -> 'ops';
  since bigint;
  cursor_now jsonb;
begin
  if b ? 'user' then
    return chat_apply_user(b);
  end if;
  select seq into since from room_cursor where room_id = room and epoch = (b ->> 'epoch')::bigint for update;
  since := coalesce(since, 0);
  cursor_now := chat_apply_log(b);
  -- Only where this batch is what moved the cursor.
  if (cursor_now ->> 'epoch')::bigint = (b ->> 'epoch')::bigint and (cursor_now ->> 'seq')::bigint > since then
    perform chat_apply_moderation(room, ops, since);
    perform chat_apply_reports(room, ops, since);
  end if;
  return cursor_now;
end
$$;

-- migrate:down

drop function chat_apply_room(jsonb);
alter function chat_apply_log(jsonb) rename to chat_apply_room;
drop function chat_apply_moderation(text, jsonb, bigint);
drop table held;
alter table rooms drop column terms;
alter table messages drop column original, drop column reasons, drop column held_id;

-- migrate:up

-- One letter for each event, of a room or of a user, that could not be written. Its body is the JSON of what was to be
-- written, as text, since what PostgreSQL refuses may not be valid as jsonb.
alter table dead_letters
  drop constraint dead_letters_pkey,
  alter column room_id drop not null,
  add column id bigint generated always as identity primary key,
  add column user_id text,
  -- The message that it speaks of, and as what that was said: a deletion or an edit of it takes the letter away.
  add column message_id uuid,
  add column type text,
  add check ((room_id is null) <> (user_id is null));
create unique index dead_letters_by_event on dead_letters (room_id, user_id, epoch, seq) nulls not distinct;
create index dead_letters_by_message on dead_letters (message_id) where message_id is not null;

-- The events after `since` that are set aside, and what later ones mean for those that were.
create function chat_apply_refused(b jsonb, since bigint) returns void
language plpgsql as $$
declare
  room text := b ->> 'room_id';
  batch_epoch bigint := b ->> 'epoch';
  ops jsonb := b -> 'ops';
begin
  insert into dead_letters (room_id, user_id, epoch, seq, message_id, type, sqlstate, error, body)
  select room, b ->> 'user', batch_epoch, seq, (o ->> 'message_id')::uuid, nullif(o -> 'tombstone' ->> 'type', ''),
    o ->> 'sqlstate', o ->> 'error', o ->> 'body'
  from chat_ops(ops, 'refused', since)
  on conflict do nothing;

  -- Deleted from the time on when it can be seen: what was deleted before that, nobody would be shown.
  insert into messages (id, room_id, no, user_id, username, roles, content, type, audience, visible_at, created_at,
    deleted_at, epoch, seq)
  select (o ->> 'message_id')::uuid, room, t.no, t.user_id, t.username, coalesce(t.roles, '[]'), '', 'unavailable',
    t.audience, chat_time(t.visible_at), chat_time(t.created_at), chat_time(t.visible_at), batch_epoch, x.seq
  from chat_ops(ops, 'refused', since) x, jsonb_to_record(x.o -> 'tombstone') t (no bigint, user_id text, username text,
    roles jsonb, audience text, visible_at text, created_at text)
  where x.o -> 'tombstone' is not null
  on conflict (id) do nothing;

  -- What its author made of it since can be written, so it is a message again.
  update messages m set type = d.type, content = c.content, text = c.plain, mentions = c.mentions,
    edited_at = c.edited_at, deleted_at = null
  from chat_changes(ops, since) c join dead_letters d on d.message_id = c.id
  where m.id = c.id and m.room_id = room and m.type = 'unavailable' and c.deleted_at is null and d.room_id = room
    and d.type is not null;

  delete from dead_letters d
  using (select id from chat_changes(ops, since)
    union all select (o ->> 'id')::uuid from chat_ops(ops, 'held_end', since)) c
  where d.message_id = c.id and d.room_id = room;
end
$$;

-- Writes one batch, a room's or a user's, and moves its cursor; returns the cursor as it then is. Raises on anything
-- that cannot be written, and then nothing of the batch is.
create or replace function chat_apply_room(b jsonb) returns jsonb
language plpgsql as $$
declare
  room text := b ->> 'room_id';
  ops jsonb := b -> 'ops';
  since bigint;
  cursor_now jsonb;
  kinds text[];
begin
  if b ? 'user' then
    select seq into since from user_cursor where user_id = b ->> 'user' and epoch = (b ->> 'epoch')::bigint for update;
    cursor_now := chat_apply_user(b);
  else
    select seq into since from room_cursor where room_id = room and epoch = (b ->> 'epoch')::bigint for update;
    cursor_now := chat_apply_log(b);
  end if;
  since := coalesce(since, 0);
  -- Only where this batch is what moved the cursor.
  if (cursor_now ->> 'epoch')::bigint is distinct from (b ->> 'epoch')::bigint
    or (cursor_now ->> 'seq')::bigint <= since
  then
    return cursor_now;
  end if;
  select array_agg(distinct e ->> 'op') into kinds
  from jsonb_array_elements(ops) e where (e ->> 'seq')::bigint > since;
  if kinds && array['refused', 'edit', 'delete', 'held_end'] then
    perform chat_apply_refused(b, since);
  end if;
  if room is not null and kinds && array['original', 'edit', 'delete', 'held', 'held_end', 'terms'] then
    perform chat_apply_moderation(room, ops, since);
  end if;
  if room is not null and kinds && array['report', 'resolve_report', 'forget_quotes'] then
    perform chat_apply_reports(room, ops, since);
  end if;
  return cursor_now;
end
$$;

-- Writes the letter of a message, or `ops` in place of its body, as if it came now, and takes the letter away. Raises,
-- and changes nothing, where it still cannot be written.
create function chat_replay(letter bigint, ops text default null) returns void
language plpgsql as $$
declare
  d dead_letters;
  b jsonb;
  cursor_now room_cursor;
begin
  -- The cursor first, as a drain does.
  select c.* into cursor_now from dead_letters l join room_cursor c using (room_id) where l.id = letter for update of c;
  select * into d from dead_letters where id = letter and room_id is not null and message_id is not null for update;
  if not found then
    raise no_data_found using message = 'no dead letter of a message has this id';
  end if;
  b := jsonb_build_object('room_id', d.room_id, 'epoch', d.epoch, 'from', d.seq - 1, 'to', d.seq,
    'ops', coalesce(ops, d.body)::jsonb);
  delete from dead_letters where id = letter;
  delete from messages m using chat_ops(b -> 'ops', 'message', d.seq - 1)
  where m.id = d.message_id and m.room_id = d.room_id and m.type = 'unavailable';
  update room_cursor set epoch = d.epoch, seq = d.seq - 1 where room_id = d.room_id;
  perform chat_apply_room(b);
  update room_cursor set epoch = cursor_now.epoch, seq = cursor_now.seq where room_id = d.room_id;
end
$$;

-- migrate:down

drop function chat_replay(bigint, text);

create or replace function chat_apply_room(b jsonb) returns jsonb
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

drop function chat_apply_refused(jsonb, bigint);
delete from dead_letters where room_id is null;
drop index dead_letters_by_message;
drop index dead_letters_by_event;
alter table dead_letters
  drop column user_id,
  drop column message_id,
  drop column type,
  drop column id,
  alter column room_id set not null,
  add primary key (room_id, epoch, seq);

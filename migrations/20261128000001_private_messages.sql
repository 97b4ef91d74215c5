-- migrate:up

-- The sender's tag of an encrypted message: an HMAC-SHA-256 in base64, whose key is inside the ciphertext.
alter table messages add column franking text;

-- The tags after `since`, once the messages themselves are written. The condition on the ids is for the index: see
-- chat_by_id.
create function chat_apply_franking(room text, ops jsonb, since bigint) returns void
language plpgsql as $$
begin
  update messages m set franking = o ->> 'franking'
  from (
    select distinct on (x.o ->> 'id') x.o from chat_ops(ops, 'franking', since) x order by x.o ->> 'id', x.seq desc
  ) last
  where m.id = (o ->> 'id')::uuid and m.room_id is not distinct from room and m.deleted_at is null
    and m.id = any ((select array_agg((x.o ->> 'id')::uuid) from chat_ops(ops, 'franking', since) x)::uuid[]);

  update messages m set franking = null
  from chat_changes(ops, since) c
  where c.deleted_at is not null and m.id = c.id and m.room_id is not distinct from room and m.franking is not null
    and m.id = any ((select chat_ids(ops, since))::uuid[]);
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
  if room is not null and kinds && array['franking', 'delete'] then
    perform chat_apply_franking(room, ops, since);
  end if;
  return cursor_now;
end
$$;

-- migrate:down

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

drop function chat_apply_franking(text, jsonb, bigint);
alter table messages drop column franking;

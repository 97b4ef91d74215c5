-- migrate:up

-- Milliseconds since 1970, as a log writes them, to a time.
create function chat_time(ms text) returns timestamptz
language sql immutable parallel safe
return to_timestamp(ms::float8 / 1000);

-- The operations of one kind after `since`. Their fields stay JSON here: another version's operations may bear the
-- same names with other types, so a field is cast only by who knows its kind.
create function chat_ops(ops jsonb, kind text, since bigint) returns table (seq bigint, o jsonb)
language sql immutable parallel safe as $$
  select (e ->> 'seq')::bigint, e
  from jsonb_array_elements(ops) e
  where e ->> 'op' = kind and (e ->> 'seq')::bigint > since
$$;

-- What becomes of each message that is edited or deleted after `since`: the last edit before the first deletion.
create function chat_changes(ops jsonb, since bigint) returns table
  (id uuid, content text, plain text, mentions jsonb, edited_at timestamptz, deleted_at timestamptz)
language sql immutable parallel safe as $$
  with deleted as (
    select distinct on (1) d.id::uuid as id, x.seq, chat_time(x.o ->> 'deleted_at') as deleted_at
    from chat_ops(ops, 'delete', since) x, jsonb_array_elements_text(x.o -> 'ids') d(id)
    order by 1, x.seq
  ), edited as (
    select distinct on (1) (x.o ->> 'id')::uuid as id, x.o ->> 'content' as content, x.o ->> 'text' as plain,
      coalesce(x.o -> 'mentions', '[]') as mentions, chat_time(x.o ->> 'edited_at') as edited_at
    from chat_ops(ops, 'edit', since) x
    left join deleted d on d.id = (x.o ->> 'id')::uuid
    where d.seq is null or x.seq < d.seq
    order by 1, x.seq desc
  )
  select id, e.content, e.plain, e.mentions, e.edited_at, d.deleted_at
  from edited e full join deleted d using (id)
$$;

-- Writes one room's batch and moves its cursor; returns the cursor as it then is. Raises on anything that cannot be
-- written, and then nothing of the room is.
create function chat_apply_room(b jsonb) returns jsonb
language plpgsql as $$
declare
  room text := b ->> 'room_id';
  batch_epoch bigint := b ->> 'epoch';
  from_seq bigint := b ->> 'from';
  to_seq bigint := b ->> 'to';
  ops jsonb := b -> 'ops';
  stored_epoch bigint;
  since bigint;
  kinds text[];
begin
  if room is null or batch_epoch is null or from_seq is null or to_seq is null then
    raise null_value_not_allowed using message = 'a batch needs room_id, epoch, from and to';
  end if;

  insert into room_cursor values (room, batch_epoch, 0) on conflict do nothing;
  select epoch, seq into stored_epoch, since from room_cursor where room_id = room for update;

  -- A late batch of an earlier incarnation of the room.
  if batch_epoch < stored_epoch then
    return jsonb_build_object('epoch', stored_epoch, 'seq', since);
  end if;
  if batch_epoch > stored_epoch then
    since := 0;
    update room_cursor set epoch = batch_epoch, seq = 0 where room_id = room;
  end if;
  -- Written before; or a gap, unless the log itself holds nothing older.
  if to_seq <= since or (from_seq > since and from_seq is distinct from (b ->> 'start')::bigint) then
    return jsonb_build_object('epoch', batch_epoch, 'seq', since);
  end if;

  select array_agg(distinct e ->> 'op') into kinds
  from jsonb_array_elements(ops) e where (e ->> 'seq')::bigint > since;

  if 'room' = any (kinds) then
    insert into rooms (id, name, type, settings, owner_id, created_at, updated_at, deleted_at)
    select room, o ->> 'name', o ->> 'type', coalesce(o -> 'settings', '{}'), o ->> 'owner_id',
      chat_time(o ->> 'created_at'), chat_time(o ->> 'at'), chat_time(o ->> 'deleted_at')
    from chat_ops(ops, 'room', since)
    order by seq desc limit 1
    on conflict (id) do update set name = excluded.name, type = excluded.type, settings = excluded.settings,
      owner_id = excluded.owner_id, created_at = excluded.created_at, updated_at = excluded.updated_at,
      deleted_at = excluded.deleted_at;
  end if;

  if 'message' = any (kinds) then
    with changes as materialized (
      select * from chat_changes(ops, since) where kinds && array['edit', 'delete']
    ), said as (
      select m.*, chat_time(m.edited_at) as edited, chat_time(m.deleted_at) as deleted
      from chat_ops(ops, 'message', since) x, jsonb_to_record(x.o) m (id uuid, seq bigint, no bigint, user_id text,
        username text, avatar text, roles jsonb, content text, text text, type text, metadata jsonb, mentions jsonb,
        reply_to uuid, client_id text, created_at text, edited_at text, deleted_at text, audience text, visible_at text)
    ), folded as (
      select m.*, coalesce(m.deleted, c.deleted_at) as gone_at, coalesce(m.deleted, c.deleted_at) is not null as gone,
        -- The log redacts in place, so a message may come as it was after an edit that this batch does not reach.
        m.deleted is null and c.edited_at >= coalesce(m.edited, '-infinity') as newer,
        c.content as new_content, c.plain as new_plain, c.mentions as new_mentions, c.edited_at as new_edited
      from said m left join changes c on c.id = m.id
    )
    insert into messages (id, room_id, no, user_id, username, avatar, roles, content, text, type, metadata, mentions,
      reply_to, client_id, audience, visible_at, created_at, edited_at, deleted_at, epoch, seq)
    select id, room, no, user_id, username, avatar, coalesce(roles, '[]'),
      case when gone then '' when newer then new_content else content end,
      case when gone then null when newer then new_plain else text end,
      type,
      case when gone then '{}' else coalesce(metadata, '{}') end,
      case when gone then '[]' when newer then new_mentions else coalesce(mentions, '[]') end,
      reply_to, client_id, coalesce(audience, 'all'), chat_time(coalesce(visible_at, created_at)),
      chat_time(created_at), case when newer then new_edited else edited end, gone_at, batch_epoch, seq
    from folded
    -- Here already only if the cursor was set back by hand. A tombstone stays one.
    on conflict (id) do update set no = excluded.no, content = excluded.content, text = excluded.text,
      metadata = excluded.metadata, mentions = excluded.mentions, audience = excluded.audience,
      visible_at = excluded.visible_at, edited_at = excluded.edited_at, deleted_at = excluded.deleted_at,
      epoch = excluded.epoch, seq = excluded.seq
    where messages.room_id = room and messages.deleted_at is null;
  end if;

  if kinds && array['edit', 'delete'] then
    -- Those of this batch are folded already.
    update messages m set
      content = case when c.deleted_at is null then c.content else '' end,
      text = case when c.deleted_at is null then c.plain end,
      metadata = case when c.deleted_at is null then m.metadata else '{}' end,
      mentions = case when c.deleted_at is null then c.mentions else '[]' end,
      edited_at = greatest(m.edited_at, c.edited_at),
      deleted_at = c.deleted_at
    from chat_changes(ops, since) c
    where m.id = c.id and m.room_id = room and m.deleted_at is null
      and not (m.epoch = batch_epoch and m.seq > since)
      and (c.deleted_at is not null or m.edited_at is null or m.edited_at <= c.edited_at);
  end if;

  if 'delete' = any (kinds) then
    delete from reactions r using chat_changes(ops, since) c, messages m
    where c.deleted_at is not null and m.id = c.id and m.room_id = room and r.message_id = m.id;
  end if;

  if 'reaction' = any (kinds) then
    with final as (
      select distinct on (1, 2, 3) (o ->> 'id')::uuid as message_id, o ->> 'user_id' as user_id,
        o ->> 'reaction' as reaction, coalesce((o ->> 'remove')::boolean, false) as remove,
        chat_time(o ->> 'at') as at
      from chat_ops(ops, 'reaction', since)
      order by 1, 2, 3, seq desc
    ), here as (
      select f.* from final f join messages m on m.id = f.message_id where m.room_id = room and m.deleted_at is null
    ), removed as (
      delete from reactions r using here h
      where h.remove and r.message_id = h.message_id and r.user_id = h.user_id and r.reaction = h.reaction
    )
    insert into reactions (message_id, user_id, reaction, created_at)
    select message_id, user_id, reaction, at from here where not remove
    on conflict do nothing;
  end if;

  if 'role' = any (kinds) then
    with final as (
      select o ->> 'user_id' as user_id, (array_agg(o ->> 'role' order by seq desc))[1] as role,
        -- Not every change of a role knows the name.
        (array_agg(o ->> 'username' order by seq desc) filter (where o ->> 'username' is not null))[1] as username,
        (array_agg(chat_time(o ->> 'at') order by seq desc))[1] as at
      from chat_ops(ops, 'role', since)
      group by 1
    ), removed as (
      delete from room_roles r using final f where f.role is null and r.room_id = room and r.user_id = f.user_id
    )
    insert into room_roles (room_id, user_id, role, username, updated_at)
    select room, user_id, role, username, at from final where role is not null
    on conflict (room_id, user_id) do update set role = excluded.role,
      username = coalesce(excluded.username, room_roles.username), updated_at = excluded.updated_at;
  end if;

  if kinds && array['ban', 'unban'] then
    with final as (
      select distinct on (1) o ->> 'user_id' as user_id, o ->> 'op' as op, o
      from (select * from chat_ops(ops, 'ban', since) union all select * from chat_ops(ops, 'unban', since)) x
      order by 1, seq desc
    ), removed as (
      delete from bans b using final f where f.op = 'unban' and b.room_id = room and b.user_id = f.user_id
    )
    insert into bans (room_id, user_id, username, reason, shadow, banned_by, created_at, ends_at)
    select room, user_id, o ->> 'username', o ->> 'reason', coalesce((o ->> 'shadow')::boolean, false), o ->> 'by',
      chat_time(o ->> 'created_at'), chat_time(o ->> 'ends_at')
    from final where op = 'ban'
    on conflict (room_id, user_id) do update set username = coalesce(excluded.username, bans.username),
      reason = excluded.reason, shadow = excluded.shadow, banned_by = excluded.banned_by,
      created_at = excluded.created_at, ends_at = excluded.ends_at;
  end if;

  if 'pins' = any (kinds) then
    update rooms set pinned = (select o -> 'pinned' from chat_ops(ops, 'pins', since) order by seq desc limit 1)
    where id = room;
  end if;

  -- Named after its event, so that a repeat is the same line.
  if 'audit' = any (kinds) then
    insert into audit (id, room_id, actor_id, action, target, details, created_at)
    select md5(room || ' ' || batch_epoch || ' ' || seq)::uuid, room, o ->> 'actor', o ->> 'action', o ->> 'target',
      coalesce(o -> 'details', '{}'), chat_time(o ->> 'at')
    from chat_ops(ops, 'audit', since)
    on conflict do nothing;
  end if;

  update room_cursor set seq = to_seq where room_id = room;
  return jsonb_build_object('epoch', batch_epoch, 'seq', to_seq);
end
$$;

-- The one writer: an array of rooms' batches as JSON texts, answered by index with each room's cursor
-- {"epoch", "seq"} or {"error", "sqlstate"}. Texts, not jsonb: one that does not parse fails alone.
-- Rooms are locked in the order of their ids, so that two calls cannot deadlock. The tables may have been empty when a
-- session planned these statements, and then a scan looks cheap for as long as it lives: only index look-ups will do.
-- (What is switched off counts as a huge cost, and that alone would set off the JIT compiler.)
create function chat_apply(batch text[]) returns jsonb
language plpgsql
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  parsed jsonb[];
  ids text[];
  answers jsonb[];
  i int;
begin
  for i in 1 .. cardinality(batch) loop
    begin
      parsed[i] := batch[i]::jsonb;
      ids[i] := parsed[i] ->> 'room_id';
    exception when others then
      answers[i] := jsonb_build_object('error', sqlerrm, 'sqlstate', sqlstate);
    end;
  end loop;

  for i in select n from generate_series(1, cardinality(batch)) n where answers[n] is null order by ids[n], n loop
    begin
      answers[i] := chat_apply_room(parsed[i]);
    exception when others then
      answers[i] := jsonb_build_object('error', sqlerrm, 'sqlstate', sqlstate);
    end;
  end loop;
  return coalesce(to_jsonb(answers), '[]');
end
$$;

-- migrate:down

drop function chat_apply(text[]);
drop function chat_apply_room(jsonb);
drop function chat_changes(jsonb, bigint);
drop function chat_ops(jsonb, text, bigint);
drop function chat_time(text);

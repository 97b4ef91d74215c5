-- migrate:up

-- What the service that this replaces has in its tables, in the schema `source`, comes into ours by chat_take_over, as
-- often as it is called; and by chat_give_back what was said here goes into its tables, for the way back.
-- docs/migrating.md says when. Columns are read as JSON, by name: one that is not there is null, whatever its type.

create function chat_old_rows(source text, name text, since timestamptz default null) returns setof jsonb
language plpgsql stable as $$
begin
  if to_regclass(format('%I.%I', source, name)) is not null then
    return query execute format('select to_jsonb(o) from %I.%I o', source, name) || coalesce((
      select ' where greatest(' || string_agg(attname || '::timestamptz', ', ') || ') >= $1' from pg_attribute
      where attrelid = to_regclass(format('%I.%I', source, name)) and attname in ('created_at', 'edited_at', 'deleted_at')
        and since is not null), '') using since;
  end if;
end
$$;

-- An id that is no UUID becomes one, always the same; of version 8, so that no room takes it for one of its own.
create function chat_old_id(id text) returns uuid
language sql immutable parallel safe as $$
  select case when id ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then id::uuid
    else overlay(md5(id) placing '8' from 13 for 1)::uuid end
$$;

-- In the session's time zone where it has none of its own. No log has times before 1970, after now, or without an end.
create function chat_old_time(t text) returns timestamptz
language sql stable parallel safe as $$
  select case when t is not null then greatest('epoch', least(now(), t::timestamptz)) end
$$;

-- The plain text of what was stored raw or escaped, and that as content that is safe in a page.
create function chat_old_plain(t text) returns text
language sql immutable parallel safe as $$
  select replace(replace(replace(replace(replace(replace(replace(replace(replace(t, '&lt;', '<'), '&gt;', '>'),
    '&quot;', '"'), '&#39;', ''''), '&#x27;', ''''), '&#x2F;', '/'), '&#x5C;', '\'), '&#96;', '`'), '&amp;', '&')
$$;
create function chat_old_content(plain text) returns text
language sql immutable parallel safe as $$
  select replace(replace(replace(plain, '&', '&amp;'), '<', '&lt;'), '>', '&gt;')
$$;

-- Copies what is new since the last call, or changed; nothing that is here is lost or numbered anew. `zone` is the time
-- zone of columns that have none. With `since` only messages written, edited or deleted from then on are looked at.
-- Rooms that have been opened here are left alone: their log says what is in them. The answer is how many rows came, how
-- many new ones were left alone for that (`open`), and how many are of no room.
create function chat_take_over(source text, zone text default 'UTC', since timestamptz default null) returns jsonb
language plpgsql set timezone = 'UTC' as $$
declare
  n bigint;
  did jsonb := '{}';
  numbered text[];
begin
  if to_regclass(format('%I.rooms', source)) is null and to_regclass(format('%I.messages', source)) is null
    or to_regclass(format('%I.room_cursor', source)) is not null
  then
    raise undefined_table using message = format('the schema "%s" does not hold the tables of the replaced service', source);
  end if;
  perform pg_advisory_xact_lock(hashtext('chat_take_over'));
  perform set_config('timezone', zone, true);

  create temp table old_messages on commit drop as
    -- Two ids may be one UUID in upper and in lower case.
    select distinct on (1) chat_old_id(j ->> 'id') as id, j ->> 'room_id' as room_id, coalesce(j ->> 'user_id', '') as user_id,
      chat_old_plain(coalesce(j ->> 'content', '')) as plain, j ->> 'type' as type, j -> 'metadata' as metadata,
      coalesce(chat_old_time(coalesce(j ->> 'created_at', j ->> 'edited_at', j ->> 'deleted_at')), 'epoch') as created_at,
      chat_old_time(j ->> 'edited_at') as edited_at, chat_old_time(j ->> 'deleted_at') as deleted_at,
      j ->> 'username' as username, exists (select from room_cursor c where c.room_id = j ->> 'room_id') as open
    from chat_old_rows(source, 'messages', since) j order by 1, j ->> 'id';
  create index on old_messages (id);
  analyze old_messages;
  select did || jsonb_build_object('without_room', count(*)) into did from old_messages where room_id is null;
  select did || jsonb_build_object('open', count(*)) into did from old_messages o
    where open and not exists (select from messages m where m.id = o.id)
      -- What scripts/side-by-side has said here.
      and not exists (select from messages m where m.room_id = o.room_id and m.client_id = 'replaced:' || o.id
        and m.user_id = o.user_id);

  -- Only what is known to be for everybody stays open to everybody.
  insert into rooms (id, name, type, settings, created_at, updated_at, deleted_at)
  select id, left(coalesce(nullif(trim(name), ''), id), 255),
    case when not public then 'group' when type in ('video', 'stream') then type when id like 'stream\_%' then 'stream' else 'video' end,
    case when public then '{}'::jsonb else '{"visibility": "private", "guests": false}' end,
    created_at, created_at, deleted_at
  from (
    select distinct on (id) *, type is null or type in ('video', 'stream') as public from (
      select j ->> 'id' as id, j ->> 'name' as name,
        case when j -> 'settings' @> '{"private": true}' or j -> 'settings' @> '{"isPrivate": true}'
          or j -> 'settings' @> '{"visibility": "private"}' then 'private' else j ->> 'type' end as type,
        coalesce(chat_old_time(j ->> 'created_at'), now()) as created_at, chat_old_time(j ->> 'deleted_at') as deleted_at, 1 as rank
      from chat_old_rows(source, 'rooms') j
      union all
      select room_id, room_id, case when room_id !~ '^(video|stream)_' then 'private' end, min(created_at), null, 2
      from old_messages where room_id is not null group by 1
    ) known order by id, rank
  ) room
  -- One that is still everybody's here, and no longer there.
  on conflict (id) do update set type = case excluded.type when 'group' then 'group' else rooms.type end,
      settings = rooms.settings || excluded.settings, deleted_at = coalesce(rooms.deleted_at, excluded.deleted_at)
    where (rooms.type <> 'group' and excluded.type = 'group' or rooms.deleted_at is null and excluded.deleted_at is not null)
      and not exists (select from room_cursor c where c.room_id = rooms.id);
  get diagnostics n = row_count;
  did := did || jsonb_build_object('rooms', n);

  with names as (
    select distinct on (1) j ->> 'id' as user_id, coalesce(j ->> 'username', j ->> 'name') as username,
      coalesce(j ->> 'avatar', j ->> 'avatar_url') as avatar
    from (select * from chat_old_rows(source, 'users') union all select * from chat_old_rows('public', 'users')) u(j)
  ), fresh as (
    select o.*, coalesce(last.no, 0) + row_number() over (partition by o.room_id order by o.created_at, o.id) as no
    from old_messages o
    left join (select room_id, max(no) as no from messages group by 1) last using (room_id)
    where not open and o.room_id is not null and not exists (select from messages m where m.id = o.id)
  ), came as (
    insert into messages (id, room_id, no, user_id, username, avatar, roles, content, text, type, metadata, visible_at,
      created_at, edited_at, deleted_at, epoch, seq)
    select f.id, f.room_id, f.no, f.user_id,
      chat_old_content(left(chat_old_plain(coalesce(nullif(trim(f.username), ''), nullif(trim(names.username), ''),
        nullif(f.user_id, ''), 'unknown')), 64)),
      case when names.avatar like 'https://%' and length(names.avatar) <= 512 then names.avatar end, '["member"]',
      case when deleted_at is null then chat_old_content(plain) else '' end,
      case when deleted_at is null and plain <> chat_old_content(plain) then plain end,
      case when known then f.type else 'text' end,
      case when deleted_at is not null then '{}'
        else case jsonb_typeof(metadata) when 'object' then metadata when 'null' then '{}'
            else coalesce(jsonb_build_object('value', metadata), '{}') end
          || case when known or f.type is null then '{}' else jsonb_build_object('type', f.type) end
      end,
      created_at, created_at, edited_at, deleted_at, 0, f.no
    from fresh f
    left join names on names.user_id = f.user_id,
      lateral (select coalesce(f.type in ('text', 'emote', 'encrypted', 'system'), false) as known) k
    returning room_id
  )
  select count(*), array_agg(distinct room_id) into n, numbered from came;
  did := did || jsonb_build_object('messages', n);

  -- What was edited or deleted there since it was copied.
  update messages m set
    content = case when o.deleted_at is null then chat_old_content(plain) else '' end,
    text = case when o.deleted_at is null and plain <> chat_old_content(plain) then plain end,
    metadata = case when o.deleted_at is null then m.metadata else '{}' end,
    edited_at = o.edited_at, deleted_at = o.deleted_at
  from old_messages o
  where m.id = o.id and m.epoch = 0 and not open and m.deleted_at is null
    and (o.deleted_at is not null or o.edited_at < now() and o.edited_at is distinct from m.edited_at);
  get diagnostics n = row_count;
  did := did || jsonb_build_object('changed', n);

  -- Not in the documented schema of that service, but where it has them under these names.
  insert into reactions (message_id, user_id, reaction, created_at)
  select m.id, j ->> 'user_id', coalesce(j ->> 'reaction', j ->> 'emoji'), coalesce(chat_old_time(j ->> 'created_at'), m.created_at)
  from chat_old_rows(source, 'reactions') j
  join messages m on m.id = chat_old_id(j ->> 'message_id') and m.epoch = 0
  where m.deleted_at is null and j ->> 'user_id' is not null and coalesce(j ->> 'reaction', j ->> 'emoji') is not null
    and not exists (select from room_cursor c where c.room_id = m.room_id)
  on conflict do nothing;
  get diagnostics n = row_count;
  delete from reactions r using old_messages o, messages m
    where r.message_id = o.id and m.id = o.id and m.deleted_at is not null and m.epoch = 0 and not o.open;
  did := did || jsonb_build_object('reactions', n);

  insert into bans (room_id, user_id, username, reason, banned_by, created_at, ends_at)
  select j ->> 'room_id', j ->> 'user_id', j ->> 'username', j ->> 'reason', coalesce(j ->> 'banned_by', ''),
    coalesce(chat_old_time(j ->> 'created_at'), now()), nullif(coalesce(j ->> 'ends_at', j ->> 'expires_at'), 'infinity')::timestamptz
  from chat_old_rows(source, 'bans') j
  where j ->> 'room_id' is not null and j ->> 'user_id' is not null
    and not exists (select from room_cursor c where c.room_id = j ->> 'room_id')
  on conflict do nothing;
  get diagnostics n = row_count;
  did := did || jsonb_build_object('bans', n);

  insert into presence (user_id, room_id, socket_id, last_seen)
  select j ->> 'user_id', j ->> 'room_id', coalesce(j ->> 'socket_id', ''), coalesce(chat_old_time(j ->> 'last_seen'), 'epoch')
  from chat_old_rows(source, 'presence') j
  where not exists (select from room_cursor c where c.room_id = j ->> 'room_id')
  on conflict do nothing;

  -- A room that has been opened meanwhile numbers by itself. The lock waits for what it is writing.
  lock table room_cursor in share mode;
  if exists (select from room_cursor c where c.room_id = any (numbered)) then
    raise serialization_failure using message = 'a room was opened while its messages were taken over', hint = 'Call it again.';
  end if;
  drop table old_messages;
  return did;
end
$$;

-- Writes into the replaced service's tables what was said here and is for everybody, and what became of what was taken
-- over. Called again it writes what is new. Rooms and messages alone, in the columns that its documentation names.
create function chat_give_back(source text, zone text default 'UTC') returns jsonb
language plpgsql set timezone = 'UTC' as $$
declare
  n bigint;
  did jsonb := '{}';
begin
  perform set_config('timezone', zone, true);
  execute format($q$
    insert into %I.rooms (id, name, type, settings, created_at)
    select id, name, type, settings, created_at from rooms where deleted_at is null on conflict do nothing$q$, source);
  get diagnostics n = row_count;
  did := did || jsonb_build_object('rooms', n);
  -- What was changed there later than here stays.
  execute format($q$
    update %1$I.messages o set content = m.content, edited_at = m.edited_at, deleted_at = m.deleted_at
    from messages m
    where (m.edited_at is not null or m.deleted_at is not null)
      and chat_old_id(o.id::text) = case when m.client_id like 'replaced:%%' then chat_old_id(substr(m.client_id, 10)) else m.id end
      -- A client may name its messages as it likes.
      and coalesce(o.user_id, '') = m.user_id
      and o.deleted_at is null and (m.deleted_at is not null or m.edited_at > coalesce(o.edited_at, '-infinity'))$q$, source);
  get diagnostics n = row_count;
  did := did || jsonb_build_object('changed', n);
  execute format($q$
    insert into %1$I.messages (id, room_id, user_id, content, type, metadata, created_at, edited_at, deleted_at)
    select id, room_id, user_id, content, type, metadata, created_at, edited_at, deleted_at from messages m
    where epoch > 0 and audience = 'all' and visible_at <= now() and type <> 'unavailable'
      and exists (select from %1$I.rooms r where r.id = m.room_id)
      and not exists (select from %1$I.messages o where m.client_id like 'replaced:%%'
        and chat_old_id(o.id::text) = chat_old_id(substr(m.client_id, 10)) and coalesce(o.user_id, '') = m.user_id)
    order by room_id, no on conflict do nothing$q$, source);
  get diagnostics n = row_count;
  return did || jsonb_build_object('messages', n);
end
$$;

do $$
begin
  -- Only what the first migration has moved, and as long as it is there.
  if obj_description(to_regnamespace('replaced'), 'pg_namespace') = 'edge-chat: the tables of the replaced service'
    and to_regclass('replaced.messages') is not null
  then
    raise notice '%', chat_take_over('replaced');
  end if;
end
$$;

-- migrate:down

drop function chat_give_back(text, text);
drop function chat_take_over(text, text, timestamptz);
drop function chat_old_content(text);
drop function chat_old_plain(text);
drop function chat_old_time(text);
drop function chat_old_id(text);
drop function chat_old_rows(text, text, timestamptz);

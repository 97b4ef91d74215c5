-- migrate:up

do $$
begin
  if to_regclass('legal_holds') is null then
    create table if not exists legal_holds (id uuid primary key, room_id text, user_id text, reason text not null, placed_by text not null, placed_at timestamptz not null, lifted_by text, lifted_at timestamptz, check (room_id is not null or user_id is not null));
    comment on table legal_holds is 'edge-chat: made with the erasures';
  end if;
end
$$;

-- Erasures of users. Whose it is stands here only as long as it runs.
create table erasures (
  id uuid primary key,
  user_id text,
  mode text not null check (mode in ('tombstone', 'anonymise')),
  status text not null default 'running' check (status in ('running', 'done', 'incomplete')),
  asked_by text not null,
  asked_role text,
  reason text,
  asked_at timestamptz not null default now(),
  done_at timestamptz,
  proof jsonb
);
create unique index erasures_running on erasures (user_id) where status = 'running';

-- Who said or did something in a room that stands here no more: its log may still name them, for as long as it goes back.
create table room_users (
  user_id text not null,
  room_id text not null,
  primary key (user_id, room_id)
);

create function chat_left_room() returns trigger
language plpgsql as $$
begin
  if tg_table_name = 'reactions' then
    insert into room_users (user_id, room_id)
    select distinct g.user_id, m.room_id from gone g join messages m on m.id = g.message_id where g.user_id <> '' order by 1, 2
    on conflict do nothing;
  else
    insert into room_users (user_id, room_id)
    select distinct user_id, room_id from gone where user_id <> '' order by 1, 2
    on conflict do nothing;
  end if;
  return null;
end
$$;
create trigger left_room after delete on messages referencing old table as gone
for each statement execute function chat_left_room();
create trigger left_room after delete on reactions referencing old table as gone
for each statement execute function chat_left_room();
create trigger left_room after delete on held referencing old table as gone
for each statement execute function chat_left_room();

-- The operations after `since` that take the author from messages: to tombstones, or with their text. What is encrypted
-- becomes a tombstone all the same.
create function chat_apply_erase(room text, ops jsonb, since bigint) returns void
language plpgsql as $$
declare
  ids uuid[];
  gone uuid[];
begin
  select array_agg(d.id::uuid), array_agg(d.id::uuid) filter (where (x.o ->> 'tombstones')::boolean) into ids, gone
  from chat_ops(ops, 'erase', since) x, jsonb_array_elements_text(x.o -> 'ids') d(id);
  select gone || array_agg(m.id) into gone from messages m
  where m.id = any (ids) and m.room_id is not distinct from room and m.type = 'encrypted';
  -- Before the author: a hold on them keeps a copy.
  update messages m set content = '', text = null, mentions = '[]', reasons = null, franking = null,
    deleted_at = chat_time(x.o ->> 'at')
  from chat_ops(ops, 'erase', since) x
  where m.id = any (gone) and x.o -> 'ids' ? m.id::text and m.room_id is not distinct from room and m.deleted_at is null;
  update messages m set user_id = '', username = 'erased', avatar = null, roles = '["member"]', client_id = null,
    metadata = '{}', original = null
  where m.id = any (ids) and m.room_id is not distinct from room;
  delete from reactions r where r.message_id = any (gone);
  update reports r set quoted = null, resolution = null
  where (r.message_id = any (gone) or r.message_id = any (ids) and r.proved is not null) and r.room_id is not distinct from room;
  delete from dead_letters d where d.message_id = any (ids) and d.room_id is not distinct from room;
end
$$;

-- The id under which a ban holds on for a user who was erased; rooms compute the same.
create function chat_hidden(room text, who text) returns text
language sql immutable parallel safe as $$
  select 'erased:' || encode(sha256(convert_to(room || E'\n' || who, 'UTF8')), 'hex')
$$;

-- Who is let in again is so under either id, unless a later operation bans them anew.
create function chat_apply_unban(room text, ops jsonb, since bigint) returns void
language plpgsql as $$
begin
  delete from bans b using chat_ops(ops, 'unban', since) x
  where b.room_id = room
    and (b.user_id = chat_hidden(room, x.o ->> 'user_id')
      or x.o ->> 'user_id' like 'erased:%' and chat_hidden(room, b.user_id) = x.o ->> 'user_id')
    and not exists (select from chat_ops(ops, 'ban', since) y where y.o ->> 'user_id' = b.user_id and y.seq > x.seq);
end
$$;

alter function chat_apply_room(jsonb) rename to chat_apply_room_but_erase;

-- Writes one batch, a room's or a user's, and moves its cursor; returns the cursor as it then is. Raises on anything
-- that cannot be written, and then nothing of the batch is.
create function chat_apply_room(b jsonb) returns jsonb
language plpgsql as $$
declare
  room text := b ->> 'room_id';
  since bigint;
  cursor_now jsonb;
begin
  if room is null or not (b -> 'ops' @> '[{"op": "erase"}]' or b -> 'ops' @> '[{"op": "unban"}]') then
    return chat_apply_room_but_erase(b);
  end if;
  select seq into since from room_cursor where room_id = room and epoch = (b ->> 'epoch')::bigint for update;
  since := coalesce(since, 0);
  cursor_now := chat_apply_room_but_erase(b);
  -- Only where this batch is what moved the cursor.
  if (cursor_now ->> 'epoch')::bigint = (b ->> 'epoch')::bigint and (cursor_now ->> 'seq')::bigint > since then
    perform chat_apply_unban(room, b -> 'ops', since);
    perform chat_apply_erase(room, b -> 'ops', since);
    -- Under which name a tombstone had mentioned the user nobody knows here any more: its quotes go as a whole.
    update reports r set quoted = null
    from chat_ops(b -> 'ops', 'erase', since) x, jsonb_array_elements_text(x.o -> 'quotes') q(id)
    where r.id = q.id::uuid and r.room_id is not distinct from room
      and not exists (select from messages m where m.id = r.message_id and m.deleted_at is null);
  end if;
  return cursor_now;
end
$$;

-- A text with @erased in place of each @name; longer names that begin with it, and addresses, stay. What follows the name
-- must not go on with it: marks and joiners belong to the letter before them, dots and dashes only to what follows.
create function chat_unname(t text, name text) returns text
language sql immutable parallel safe as $$
  select regexp_replace(t, '(?<![A-Za-z0-9._+-])@' || regexp_replace(name, '([^[:alnum:]_])', '\\\1', 'g')
    || '(?![\u0300-\u036f\u200c\u200d]|[.-]*[[:alnum:]_])', '@erased', 'gi')
$$;

-- An encrypted message without the keys for this user's devices; as it is where it has none.
create function chat_unsealed(content text, who text) returns text
language plpgsql immutable parallel safe as $$
declare
  kept jsonb;
begin
  select jsonb_object_agg(k, v) into kept from jsonb_each(content::jsonb -> 'keys') e(k, v)
  where regexp_replace(k, '/[^/]*$', '') <> who;
  if (select count(*) from jsonb_object_keys(content::jsonb -> 'keys')) = (select count(*) from jsonb_object_keys(coalesce(kept, '{}'))) then
    return content;
  end if;
  return replace(replace(replace((content::jsonb || jsonb_build_object('keys', coalesce(kept, '{}')))::text,
    '<', '\u003c'), '>', '\u003e'), '&', '\u0026');
exception when others then
  -- Of the service that this replaces: nothing is known of its form.
  return content;
end
$$;

create function chat_without(mentions jsonb, who text) returns jsonb
language sql immutable parallel safe as $$
  select coalesce(jsonb_agg(m order by n), '[]') from jsonb_array_elements(mentions) with ordinality e(m, n)
  where m ->> 'user_id' is distinct from who
$$;

create function chat_name_in(mentions jsonb, who text) returns text
language sql immutable parallel safe as $$
  select m ->> 'username' from jsonb_array_elements(mentions) m where m ->> 'user_id' = who limit 1
$$;

-- Whether what could not be written names a user, in one of the fields that do. Its body is the JSON of operations, or of
-- what could not be read at all, and need not be good JSON.
create function chat_letter_names(body text, who text) returns boolean
language plpgsql immutable parallel safe as $$
declare
  said jsonb;
  vars jsonb := jsonb_build_object('who', who, 'to', 'user:' || who);
begin
  -- Without the escapes that jsonb refuses.
  said := regexp_replace(body, '(\\\\)|\\u(?:0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\1', 'g')::jsonb;
  return exists (
    select from jsonb_array_elements(case jsonb_typeof(said) when 'array' then said else jsonb_build_array(said) end) e(o),
      -- Metadata is what a client likes.
      lateral (select case jsonb_typeof(o) when 'object'
        then (o - 'metadata') #- '{message,metadata}' #- '{data,metadata}' #- '{data,message,metadata}' else '{}' end) x(own)
    where jsonb_path_exists(own, '$.** ? (@.user_id == $who || @.by == $who || @.sent_by == $who || @.answers == $who
        || @.author == $who || @.author_id == $who || @.reporter_id == $who || @.owner_id == $who || @.actor == $who
        || @.actor_id == $who || @.target == $who || @.banned_by == $who || @.resolved_by == $who || @.audience == $to)', vars)
      or own ->> 'type' = 'encrypted' and chat_unsealed(own ->> 'content', who) <> own ->> 'content');
exception when others then
  return exists (select from unnest(array['user_id', 'by', 'sent_by', 'answers', 'author', 'author_id', 'reporter_id', 'owner_id',
    'actor', 'actor_id', 'target']) field where body ~ ('"' || field || '"\s*:\s*' || regexp_replace(to_json(who)::text, '([^[:alnum:]_])', '\\\1', 'g')));
end
$$;

-- Where a user can stand in our own tables, in the order in which they are gone through: the column, and when it names $1.
create function chat_naming_columns() returns table (tab text, col text, is_named text)
language sql immutable as $$
  select tab, col, coalesce(named, format('t.%I = $1', col)) from (values
    ('audit', 'actor_id', null), ('audit', 'target', null),
    ('bans', 'user_id', null), ('bans', 'banned_by', null),
    ('blocks', 'user_id', null), ('blocks', 'blocked_id', null),
    ('dead_letters', 'user_id', null), ('dead_letters', 'body', 'chat_letter_names(t.body, $1)'),
    ('device_keys', 'user_id', null),
    ('held', 'user_id', null), ('held', 'message', $q$jsonb_path_exists(t.message,
      '$ ? (@.user.user_id == $who || @.mentions[*].user_id == $who || @.sent_by == $who || @.answers == $who)', $2)$q$),
    -- What a hold keeps is not to be found before that is lifted.
    ('hold_copies', 'user_id', 't.user_id = $1 and not chat_on_hold(t.room_id, t.user_id)'),
    ('messages', 'user_id', null), ('messages', 'audience', $q$t.audience = 'user:' || $1$q$),
    ('messages', 'mentions', $q$jsonb_path_exists(t.mentions, '$[*] ? (@.user_id == $who)', $2)$q$),
    ('messages', 'content', $q$t.type = 'encrypted' and t.content <> '' and chat_unsealed(t.content, $1) <> t.content$q$),
    ('presence', 'user_id', null),
    ('reactions', 'user_id', null),
    ('reports', 'reporter_id', null), ('reports', 'resolved_by', null),
    ('room_roles', 'user_id', null),
    ('rooms', 'owner_id', null),
    ('user_cursor', 'user_id', null),
    -- Last: what is deleted before is noted here.
    ('room_users', 'user_id', null)) c (tab, col, named)
$$;

-- Our own tables, and behind them those that stand beside them: these are searched, and nothing is changed in them.
create function chat_erase_places() returns jsonb
language sql stable as $$
  select (select jsonb_agg(tab order by n) from (select tab, min(n) as n from chat_naming_columns() with ordinality c (tab, col, named, n) group by 1) own)
    || coalesce((select jsonb_agg(relname order by relname) from pg_class
      where relkind = 'r' and relnamespace = (select relnamespace from pg_class where oid = 'messages'::regclass)
        and relname not in (select tab from chat_naming_columns())
        and relname not in ('erasures', 'legal_holds', 'room_cursor', 'schema_migrations')), '[]')
$$;

-- Tables are gone through by the first column of their key, so many rows at a time; those without one here by an index
-- on the user.
create function chat_erase_key(tab text) returns text
language sql immutable parallel safe as $$
  select case when tab in ('messages', 'audit', 'reports', 'held', 'dead_letters', 'rooms') then 'id' when tab = 'reactions' then 'message_id'
    when tab in ('bans', 'room_roles') then 'room_id' when tab = 'blocks' then 'user_id' end
$$;

-- What stands between `after` and the end of the step, as a condition, and where the next one begins.
create function chat_erase_range(tab text, after text, most int, out condition text, out next text)
language plpgsql stable as $$
declare
  key text := chat_erase_key(tab);
  kind text := (select format_type(atttypid, null) from pg_attribute where attrelid = to_regclass(tab) and attname = chat_erase_key(tab));
begin
  condition := 'true';
  if key is null then
    return;
  end if;
  if after is not null then
    condition := format('t.%I > %L::%s', key, after, kind);
  end if;
  execute format('select %1$I::text from %2$I t where %3$s order by %1$I offset $1 limit 1', key, tab, condition) using most into next;
  if next is not null then
    condition := condition || format(' and t.%I <= %L::%s', key, next, kind);
  end if;
end
$$;

-- Where a user stands in a part of a table of ours: how often, by column, in which rooms, and with which users.
create function chat_erase_look(who text, tab text, after text) returns jsonb
language plpgsql stable as $$
declare
  part record;
  counts text;
  any_of text;
  found jsonb;
  rooms jsonb;
  users jsonb := '[]';
  vars jsonb := jsonb_build_object('who', who);
  room text := case when tab = 'rooms' then 't.id'
    when tab = 'reactions' then '(select m.room_id from messages m where m.id = t.message_id)'
    when tab in ('blocks', 'device_keys', 'user_cursor') then 'null::text' else 't.room_id' end;
begin
  -- Letters are long.
  part := chat_erase_range(tab, after, case tab when 'dead_letters' then 1000 else 20000 end);
  select string_agg(format('%L, count(*) filter (where %s)', c.tab || '.' || c.col, c.is_named), ', '),
    string_agg('(' || c.is_named || ')', ' or ')
  into counts, any_of from chat_naming_columns() c where c.tab = chat_erase_look.tab;
  execute format('select jsonb_build_object(%s), coalesce(jsonb_agg(distinct %s) filter (where %2$s is not null), ''[]'') from %I t where %s and (%s)',
    counts, room, tab, part.condition, any_of) using who, vars into found, rooms;
  if tab = 'blocks' then
    execute format('select coalesce(jsonb_agg(distinct user_id), ''[]'') from blocks t where %s and blocked_id = $1', part.condition)
      using who into users;
  elsif tab = 'room_roles' then
    execute format('select coalesce(jsonb_agg(distinct o.user_id), ''[]'') from room_roles t join room_roles o on o.room_id = t.room_id
      where %s and t.user_id = $1 and o.user_id <> $1 and t.room_id like ''dm:%%''', part.condition) using who into users;
  end if;
  return jsonb_build_object('next', part.next, 'found', found, 'rooms', rooms, 'users', users);
end
$$;

-- How often a user's id is all that a column of somebody else's table holds, 40 MB at a time. A table that cannot be read
-- is named with the reason.
create function chat_erase_elsewhere(who text, tab text, after text) returns jsonb
language plpgsql as $$
declare
  place regclass := to_regclass(format('%I.%I', (select nspname from pg_class c join pg_namespace n on n.oid = relnamespace where c.oid = 'messages'::regclass), tab));
  from_block bigint := coalesce(after::bigint, 0);
  most constant bigint := 5000;
  counts text;
  found jsonb;
  next text;
begin
  select string_agg(format('%L, count(*) filter (where %s)', tab || '.' || attname, case
    when typelem <> 0 and typlen = -1 then format('$1 = any (t.%I::text[])', attname) else format('t.%I::text = $1', attname) end), ', ')
  into counts
  from pg_attribute a join pg_type y on y.oid = a.atttypid
  where attrelid = place and attnum > 0 and not attisdropped
    and format_type(atttypid, null) ~ '^(text|character varying|character|citext|uuid|name)(\[\])?$';
  if counts is null then
    return '{"next": null}';
  end if;
  perform set_config('lock_timeout', '2s', true);
  execute format('select jsonb_build_object(%s) from %s t where ctid >= %L and ctid < %L', counts, place,
    format('(%s,0)', from_block), format('(%s,0)', from_block + most)) using who into found;
  select (from_block + most)::text into next
  where pg_relation_size(place) > (from_block + most) * current_setting('block_size')::bigint;
  return jsonb_build_object('next', next,
    'elsewhere', coalesce((select jsonb_object_agg(key, value) from jsonb_each(found) where value <> '0'), '{}'));
exception when others then
  return jsonb_build_object('next', null, 'unread', jsonb_build_object(tab, sqlstate));
end
$$;

-- Takes a user out of a part of a table; where the next one begins.
create function chat_erase_wipe(who text, mode text, tab text, after text) returns jsonb
language plpgsql
-- Whether a bound is there at all decides which index serves.
set plan_cache_mode = force_custom_plan
as $$
declare
  part record;
  lo uuid;
  hi uuid;
  tombstones boolean := mode = 'tombstone';
begin
  part := chat_erase_range(tab, after, case tab when 'dead_letters' then 1000 else 2000 end);
  if tab in ('messages', 'reactions', 'audit', 'reports', 'held') then
    lo := coalesce(after, '00000000-0000-0000-0000-000000000000');
    hi := coalesce(part.next, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
  end if;
  case
  when tab = 'messages' then
    update reports r set quoted = case when tombstones then null else r.quoted end, resolution = null
    from messages m where m.id > lo and m.id <= hi and m.user_id = who and r.message_id = m.id;
    delete from reactions r using messages m
    where m.id > lo and m.id <= hi and m.user_id = who and (tombstones or m.type = 'encrypted') and r.message_id = m.id;
    update messages set audience = 'moderators' where id > lo and id <= hi and audience = 'user:' || who;
    update reports r set quoted = chat_unname(r.quoted, chat_name_in(m.mentions, who))
    from messages m where m.id > lo and m.id <= hi and r.message_id = m.id and r.quoted is not null
      and m.mentions <> '[]' and chat_name_in(m.mentions, who) is not null;
    update messages set content = chat_unname(content, chat_name_in(mentions, who)),
      text = chat_unname(text, chat_name_in(mentions, who)), original = chat_unname(original, chat_name_in(mentions, who)),
      mentions = chat_without(mentions, who)
    where id > lo and id <= hi and mentions <> '[]' and chat_name_in(mentions, who) is not null;
    update messages set content = chat_unsealed(content, who)
    where id > lo and id <= hi and type = 'encrypted' and content <> '' and chat_unsealed(content, who) <> content;
    update messages m set user_id = '', username = 'erased', avatar = null, roles = '["member"]', client_id = null,
      metadata = '{}', original = null,
      content = case when gone then '' else content end, text = case when gone then null else text end,
      mentions = case when gone then '[]' else mentions end, reasons = case when gone then null else reasons end,
      franking = case when gone then null else franking end,
      deleted_at = case when gone then coalesce(deleted_at, now()) else deleted_at end
    from (select id as own_id, tombstones or type = 'encrypted' or deleted_at is not null as gone from messages
      where id > lo and id <= hi and user_id = who) own
    where m.id = own_id;
  when tab = 'reactions' then
    delete from reactions where message_id > lo and message_id <= hi and user_id = who;
  when tab = 'audit' then
    update audit set actor_id = case actor_id when who then '' else actor_id end,
      target = case target when who then '' else target end, details = details - 'reason' - 'resolution'
    where id > lo and id <= hi and who in (actor_id, target);
  when tab = 'reports' then
    -- Of those who were erased one report a message is left.
    delete from reports r where r.id > lo and r.id <= hi and r.reporter_id = who
      and exists (select from reports o where o.message_id = r.message_id and o.reporter_id = '');
    update reports set reporter_id = '', details = null where id > lo and id <= hi and reporter_id = who;
    update reports set resolved_by = '', resolution = null where id > lo and id <= hi and resolved_by = who;
  when tab = 'bans' then
    -- Of two that hold for them the one that ends later goes on.
    delete from bans b using bans o
    where (after is null or b.room_id > after) and (part.next is null or b.room_id <= part.next)
      and o.room_id = b.room_id and case
        when b.user_id = who then o.user_id = chat_hidden(b.room_id, who)
          and coalesce(o.ends_at, 'infinity') >= coalesce(b.ends_at, 'infinity')
        when o.user_id = who then b.user_id = chat_hidden(b.room_id, who)
          and coalesce(o.ends_at, 'infinity') > coalesce(b.ends_at, 'infinity')
        else false end;
    update bans b set user_id = case b.user_id when who then chat_hidden(b.room_id, who) else b.user_id end,
      username = case b.user_id when who then null else b.username end,
      banned_by = case b.banned_by when who then '' else b.banned_by end, reason = null
    where (after is null or b.room_id > after) and (part.next is null or b.room_id <= part.next)
      and who in (b.user_id, b.banned_by);
  when tab = 'held' then
    delete from held h where h.id > lo and h.id <= hi and who in (h.user_id, h.message -> 'user' ->> 'user_id');
    update held h set message = h.message || jsonb_build_object('mentions', chat_without(h.message -> 'mentions', who),
        'content', chat_unname(h.message ->> 'content', chat_name_in(h.message -> 'mentions', who)))
      || case when h.message ? 'text' then jsonb_build_object('text',
        chat_unname(h.message ->> 'text', chat_name_in(h.message -> 'mentions', who))) else '{}' end
    where h.id > lo and h.id <= hi and jsonb_typeof(h.message -> 'mentions') = 'array'
      and chat_name_in(h.message -> 'mentions', who) is not null;
    update held h set message = h.message - 'answers' where h.id > lo and h.id <= hi and h.message ->> 'answers' = who;
    update held h set message = h.message - 'sent_by' where h.id > lo and h.id <= hi and h.message ->> 'sent_by' = who;
  when tab = 'blocks' then
    delete from blocks b
    where (after is null or b.user_id > after) and (part.next is null or b.user_id <= part.next)
      and who in (b.user_id, b.blocked_id);
  when tab in ('room_roles', 'presence', 'device_keys', 'user_cursor', 'room_users') then
    execute format('delete from %I t where user_id = $1 and %s', tab, part.condition) using who;
  when tab = 'hold_copies' then
    delete from hold_copies c where c.user_id = who and not chat_on_hold(c.room_id, c.user_id);
  when tab = 'rooms' then
    update rooms r set owner_id = null
    where (after is null or r.id > after) and (part.next is null or r.id <= part.next) and r.owner_id = who;
  when tab = 'dead_letters' then
    delete from dead_letters d
    where (after is null or d.id > after::bigint) and (part.next is null or d.id <= part.next::bigint)
      and (d.user_id = who or chat_letter_names(d.body, who));
  end case;
  return jsonb_build_object('next', part.next);
end
$$;

create function chat_erasure(e erasures) returns jsonb
language sql stable as $$
  select jsonb_build_object('erasure_id', e.id, 'mode', e.mode, 'status', e.status, 'asked_by', e.asked_by, 'reason', e.reason,
    'asked_at', to_char(e.asked_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'done_at', to_char(e.done_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'proof', e.proof)
$$;

-- Whether something that the user said or did is to be kept: all of it, or what is in a room.
create function chat_on_hold(who text) returns boolean
language sql stable as $$
  select exists (
    select from legal_holds h where h.lifted_at is null and (h.user_id = who or h.user_id is null and (
      exists (select from messages m where m.room_id = h.room_id and m.user_id = who)
      or exists (select from messages m join reactions r on r.message_id = m.id where m.room_id = h.room_id and r.user_id = who)
      or exists (select from reports r where r.room_id = h.room_id and r.reporter_id = who)
      or exists (select from held w where w.room_id = h.room_id and who in (w.user_id, w.message -> 'user' ->> 'user_id'))
      or exists (select from hold_copies c where c.room_id = h.room_id and c.user_id = who)
      or exists (select from bans b where b.room_id = h.room_id and who in (b.user_id, b.banned_by))
      or exists (select from room_roles r where r.room_id = h.room_id and r.user_id = who)
      or exists (select from audit a where a.room_id = h.room_id and who in (a.actor_id, a.target)))))
$$;

-- Everything that an erasure asks of PostgreSQL: one call, answered as JSON. `call` names it as `op`.
create function chat_erase(call jsonb) returns jsonb
language plpgsql
set jit = off
as $$
declare
  who text := call ->> 'user_id';
  fresh boolean;
  ours boolean := exists (select from chat_naming_columns() where tab = call ->> 'table');
  e erasures;
  h legal_holds;
begin
  -- One that was placed meanwhile is waited for: nothing is changed before it is lifted.
  if call ->> 'op' in ('look', 'search', 'wipe', 'done') and chat_on_hold(who) then
    return '{"on_hold": true}';
  end if;
  case call ->> 'op'
  when 'begin' then
    select * into e from erasures where user_id = who and status = 'running';
    if found then
      return chat_erasure(e);
    end if;
    if chat_on_hold(who) then
      return '{"on_hold": true}';
    end if;
    insert into erasures (id, user_id, mode, asked_by, asked_role, reason)
    values ((call ->> 'erasure_id')::uuid, who, call ->> 'mode', call ->> 'by', call ->> 'role', call ->> 'reason')
    on conflict do nothing;
    fresh := found;
    select * into e from erasures where user_id = who and status = 'running';
    if fresh then
      -- The lines of an erasure name it, and not the user.
      insert into audit (id, room_id, actor_id, action, details, created_at)
      values (md5('erasure ' || e.id || ' asked')::uuid, null, e.asked_by, 'erase_user',
        jsonb_build_object('erasure_id', e.id, 'mode', e.mode, 'role', e.asked_role), e.asked_at);
    end if;
    return chat_erasure(e);
  when 'get' then
    select * into e from erasures where id = (call ->> 'erasure_id')::uuid;
    return case when e.id is null then 'null' else chat_erasure(e) || jsonb_build_object('user_id', e.user_id) end;
  when 'places' then
    return chat_erase_places();
  when 'look' then
    return case when ours then chat_erase_look(who, call ->> 'table', call ->> 'after') else '{"next": null}' end;
  when 'search' then
    return case when ours then chat_erase_look(who, call ->> 'table', call ->> 'after')
      else chat_erase_elsewhere(who, call ->> 'table', call ->> 'after') end;
  when 'wipe' then
    return case when ours then chat_erase_wipe(who, call ->> 'mode', call ->> 'table', call ->> 'after') else '{"next": null}' end;
  when 'passed' then
    return (select coalesce(jsonb_agg(r.key), '[]') from jsonb_each(call -> 'rooms') r join room_cursor c on c.room_id = r.key
      where (c.epoch, c.seq) >= ((r.value ->> 0)::bigint, (r.value ->> 1)::bigint));
  when 'done' then
    -- Lines of holds that came and went after the audit was searched.
    for h in select * from legal_holds where lifted_at is not null and who in (user_id, placed_by, lifted_by) loop
      update audit set actor_id = case actor_id when who then '' else actor_id end,
        target = case target when who then '' else target end, details = details - 'reason'
      where who in (actor_id, target) and (id = h.id
        or room_id = h.room_id and created_at = h.lifted_at or h.room_id is null and room_id is null and created_at = h.lifted_at);
    end loop;
    update legal_holds set user_id = case user_id when who then '' else user_id end,
      placed_by = case placed_by when who then '' else placed_by end,
      lifted_by = case lifted_by when who then '' else lifted_by end
    where lifted_at is not null and who in (user_id, placed_by, lifted_by);
    update erasures set asked_by = '' where asked_by = who;
    update erasures set status = call ->> 'status', user_id = null, done_at = now(), proof = call -> 'proof'
    where id = (call ->> 'erasure_id')::uuid and status = 'running' returning * into e;
    if found then
      insert into audit (id, room_id, actor_id, action, details, created_at)
      values (md5('erasure ' || e.id || ' done')::uuid, null, e.asked_by, 'user_erased',
        jsonb_build_object('erasure_id', e.id, 'mode', e.mode, 'status', e.status), e.done_at)
      on conflict do nothing;
    end if;
    return '{}';
  end case;
end
$$;

-- migrate:down

drop function chat_erase(jsonb);
drop function chat_on_hold(text);
drop function chat_erasure(erasures);
drop function chat_erase_wipe(text, text, text, text);
drop function chat_erase_elsewhere(text, text, text);
drop function chat_erase_look(text, text, text);
drop function chat_erase_range(text, text, int);
drop function chat_erase_key(text);
drop function chat_erase_places();
drop function chat_naming_columns();
drop function chat_letter_names(text, text);
drop function chat_name_in(jsonb, text);
drop function chat_without(jsonb, text);
drop function chat_unsealed(text, text);
drop function chat_unname(text, text);
drop function chat_apply_room(jsonb);
alter function chat_apply_room_but_erase(jsonb) rename to chat_apply_room;
drop function chat_apply_unban(text, jsonb, bigint);
drop function chat_hidden(text, text);
drop function chat_apply_erase(text, jsonb, bigint);
drop trigger left_room on held;
drop trigger left_room on reactions;
drop trigger left_room on messages;
drop function chat_left_room();
drop table room_users, erasures;
do $$
begin
  -- Only what this migration made.
  if obj_description(to_regclass('legal_holds'), 'pg_class') = 'edge-chat: made with the erasures' then
    drop table legal_holds;
  end if;
end
$$;

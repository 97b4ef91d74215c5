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
  update messages m set user_id = '', username = 'erased', avatar = null, roles = '["member"]', client_id = null,
    metadata = '{}', original = null
  where m.id = any (ids) and m.room_id is not distinct from room;
  select gone || array_agg(m.id) into gone from messages m
  where m.id = any (ids) and m.room_id is not distinct from room and m.type = 'encrypted';
  update messages m set content = '', text = null, mentions = '[]', reasons = null, franking = null,
    deleted_at = chat_time(x.o ->> 'at')
  from chat_ops(ops, 'erase', since) x
  where m.id = any (gone) and x.o -> 'ids' ? m.id::text and m.room_id is not distinct from room and m.deleted_at is null;
  delete from reactions r where r.message_id = any (gone);
  update reports r set quoted = null, resolution = null
  where r.message_id = any (gone) and r.room_id is not distinct from room;
  delete from dead_letters d where d.message_id = any (ids) and d.room_id is not distinct from room;
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
  if room is null or not b -> 'ops' @> '[{"op": "erase"}]' then
    return chat_apply_room_but_erase(b);
  end if;
  select seq into since from room_cursor where room_id = room and epoch = (b ->> 'epoch')::bigint for update;
  since := coalesce(since, 0);
  cursor_now := chat_apply_room_but_erase(b);
  -- Only where this batch is what moved the cursor.
  if (cursor_now ->> 'epoch')::bigint = (b ->> 'epoch')::bigint and (cursor_now ->> 'seq')::bigint > since then
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

-- The id under which a ban holds on for a user who was erased; rooms compute the same.
create function chat_hidden(room text, who text) returns text
language sql immutable parallel safe as $$
  select 'erased:' || encode(sha256(convert_to(room || E'\n' || who, 'UTF8')), 'hex')
$$;

-- A text with @erased in place of each @name.
-- Longer names that begin with it, and addresses, stay. What follows the name must not go on with it: marks and joiners
-- belong to the letter before them, dots and dashes only to what follows.
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

-- Which columns of a table may name a user: all that hold text or JSON, by the catalogue, but those that hold words,
-- kinds and ids of something else.
create function chat_naming_columns(tab text) returns table (col text, is_json boolean)
language sql stable as $$
  select attname::text, format_type(atttypid, null) in ('json', 'jsonb')
  from pg_attribute
  where attrelid = to_regclass(quote_ident(tab)) and attnum > 0 and not attisdropped
    and format_type(atttypid, null) in ('text', 'character varying', 'json', 'jsonb') and attname <> 'room_id'
    and tab || '.' || attname <> all (array[
      'messages.content', 'messages.text', 'messages.original', 'messages.username', 'messages.avatar', 'messages.type',
      'messages.roles', 'messages.metadata', 'messages.reasons', 'messages.franking', 'messages.client_id',
      'rooms.id', 'rooms.name', 'rooms.type', 'rooms.settings', 'rooms.terms', 'rooms.pinned',
      'room_roles.role', 'room_roles.username', 'bans.username', 'bans.reason', 'presence.socket_id',
      'reports.reason', 'reports.details', 'reports.quoted', 'reports.status', 'reports.resolution',
      'reactions.reaction', 'audit.action', 'audit.details', 'held.reasons', 'device_keys.device_id', 'device_keys.keys',
      'dead_letters.sqlstate', 'dead_letters.error', 'dead_letters.type'])
$$;

-- The tables that an erasure goes through, whatever they are called: those beside our own are found too.
create function chat_erase_places() returns jsonb
language sql stable as $$
  select coalesce(jsonb_agg(relname order by relname), '[]') from pg_class c
  where relkind in ('r', 'p') and relnamespace = (select relnamespace from pg_class where oid = 'messages'::regclass)
    and not relispartition and relname not in ('erasures', 'legal_holds')
    and exists (select from chat_naming_columns(c.relname))
$$;

-- Large tables are gone through by the first column of their key, so many rows at a time.
create function chat_erase_key(tab text) returns text
language sql immutable parallel safe as $$
  select case when tab in ('messages', 'audit', 'reports') then 'id' when tab = 'reactions' then 'message_id' end
$$;

-- What stands between `after` and the end of the step, as a condition, and where the next one begins.
create function chat_erase_range(tab text, after text, most int, out condition text, out next text)
language plpgsql stable as $$
declare
  key text := chat_erase_key(tab);
begin
  condition := 'true';
  if key is null then
    return;
  end if;
  execute format('select %1$I::text from %2$I where %1$I > $1 order by %1$I offset $2 limit 1', key, tab)
    using coalesce(after, '00000000-0000-0000-0000-000000000000')::uuid, most into next;
  condition := format('t.%1$I > %2$L::uuid and t.%1$I <= %3$L::uuid', key, coalesce(after, '00000000-0000-0000-0000-000000000000'),
    coalesce(next, 'ffffffff-ffff-ffff-ffff-ffffffffffff'));
end
$$;

-- Where a user stands in a part of a table: how often, by column, in which rooms, and with which users.
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
    when exists (select from pg_attribute where attrelid = to_regclass(quote_ident(tab)) and attname = 'room_id') then 't.room_id'
    else 'null::text' end;
begin
  part := chat_erase_range(tab, after, 20000);
  with said as (
    select col, case
        when tab = 'dead_letters' and col = 'body' then 'strpos(t.body, to_json($1)::text) > 0'
        when is_json then format($q$jsonb_path_exists(t.%I::jsonb, '$.** ? (@.user_id == $who || @.sent_by == $who || @.answers == $who)', $2)$q$, col)
        else format('t.%I in ($1, ''user:'' || $1)', col) end as is_named
    from chat_naming_columns(tab)
    union all
    select 'content', $q$t.type = 'encrypted' and t.content <> '' and chat_unsealed(t.content, $1) <> t.content$q$ where tab = 'messages'
  )
  select string_agg(format('%L, count(*) filter (where %s)', tab || '.' || col, is_named), ', '),
    string_agg('(' || is_named || ')', ' or ')
  into counts, any_of from said;
  execute format('select jsonb_build_object(%1$s), coalesce(jsonb_agg(distinct %2$s) filter (where (%3$s) and %2$s is not null), ''[]'') from %4$I t where %5$s',
    counts, room, any_of, tab, part.condition) using who, vars into found, rooms;
  if tab = 'blocks' then
    select coalesce(jsonb_agg(distinct user_id), '[]') into users from blocks where blocked_id = who;
  elsif tab = 'room_roles' then
    select coalesce(jsonb_agg(distinct o.user_id), '[]') into users from room_roles r join room_roles o using (room_id)
    where r.user_id = who and o.user_id <> who and room_id like 'dm:%';
  end if;
  return jsonb_build_object('next', part.next, 'found', found, 'rooms', rooms, 'users', users);
end
$$;

-- Takes a user out of a part of a table; where the next one begins.
create function chat_erase_wipe(who text, mode text, tab text, after text) returns jsonb
language plpgsql as $$
declare
  part record;
  lo uuid;
  hi uuid;
  tombstones boolean := mode = 'tombstone';
  col text;
begin
  part := chat_erase_range(tab, after, 2000);
  if chat_erase_key(tab) is not null then
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
    delete from bans b where b.user_id = who
      and exists (select from bans o where o.room_id = b.room_id and o.user_id = chat_hidden(b.room_id, who));
    update bans set user_id = chat_hidden(room_id, who), username = null, reason = null where user_id = who;
    update bans set banned_by = '', reason = null where banned_by = who;
  when tab = 'held' then
    delete from held where who in (user_id, message -> 'user' ->> 'user_id');
    update held set message = message || jsonb_build_object('mentions', chat_without(message -> 'mentions', who),
        'content', chat_unname(message ->> 'content', chat_name_in(message -> 'mentions', who)))
      || case when message ? 'text' then jsonb_build_object('text',
        chat_unname(message ->> 'text', chat_name_in(message -> 'mentions', who))) else '{}' end
    where jsonb_typeof(message -> 'mentions') = 'array' and chat_name_in(message -> 'mentions', who) is not null;
    update held set message = message - 'answers' where message ->> 'answers' = who;
    update held set message = message - 'sent_by' where message ->> 'sent_by' = who;
  when tab = 'blocks' then
    delete from blocks where who in (user_id, blocked_id);
  when tab in ('room_roles', 'presence', 'device_keys', 'user_cursor') then
    execute format('delete from %I where user_id = $1', tab) using who;
  when tab = 'rooms' then
    update rooms set owner_id = null where owner_id = who;
  when tab = 'dead_letters' then
    delete from dead_letters where user_id = who or strpos(body, to_json(who)::text) > 0;
  else
    -- A table that this does not know: nobody stands where the user stood.
    for col in select c.col from chat_naming_columns(tab) c where not is_json loop
      execute format('update %I set %I = '''' where %2$I in ($1, ''user:'' || $1)', tab, col) using who;
    end loop;
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
  e erasures;
begin
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
    return chat_erase_look(who, call ->> 'table', call ->> 'after');
  when 'wipe' then
    return chat_erase_wipe(who, call ->> 'mode', call ->> 'table', call ->> 'after');
  when 'passed' then
    return (select coalesce(jsonb_agg(r.key), '[]') from jsonb_each(call -> 'rooms') r join room_cursor c on c.room_id = r.key
      where (c.epoch, c.seq) >= ((r.value ->> 0)::bigint, (r.value ->> 1)::bigint));
  when 'done' then
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
drop function chat_erase_look(text, text, text);
drop function chat_erase_range(text, text, int);
drop function chat_erase_key(text);
drop function chat_erase_places();
drop function chat_naming_columns(text);
drop function chat_name_in(jsonb, text);
drop function chat_without(jsonb, text);
drop function chat_unsealed(text, text);
drop function chat_unname(text, text);
drop function chat_hidden(text, text);
drop function chat_apply_room(jsonb);
alter function chat_apply_room_but_erase(jsonb) rename to chat_apply_room;
drop function chat_apply_erase(text, jsonb, bigint);
drop table erasures;
do $$
begin
  -- Only what this migration made.
  if obj_description(to_regclass('legal_holds'), 'pg_class') = 'edge-chat: made with the erasures' then
    drop table legal_holds;
  end if;
end
$$;

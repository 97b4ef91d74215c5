-- migrate:up

-- What may not go: of a room, of a user in every room, or of a user in one. In force until it is lifted.
create table if not exists legal_holds (
  id uuid primary key,
  room_id text,
  user_id text,
  reason text not null,
  placed_by text not null,
  placed_at timestamptz not null,
  lifted_by text,
  lifted_at timestamptz,
  check (room_id is not null or user_id is not null)
);
create index legal_holds_in_force on legal_holds (room_id, user_id) where lifted_at is null;

-- The number of the oldest message that has not expired, or that the next one has.
alter table rooms add column first_no bigint not null default 1;

create function chat_on_hold(room text, who text) returns boolean
language sql stable as $$
  select exists (select from legal_holds where lifted_at is null and (room_id is null or room_id = room)
    and (user_id is null or user_id = who))
$$;

-- What a message on hold said before it was edited or deleted, as far as it had come here; for nobody but SQL.
create table hold_copies (
  id bigint generated always as identity primary key,
  message_id uuid not null,
  room_id text not null,
  user_id text not null,
  content text not null,
  text text,
  original text,
  metadata jsonb not null,
  changed_at timestamptz not null default now()
);
create index hold_copies_by_message on hold_copies (message_id);
create index hold_copies_by_user on hold_copies (user_id, room_id);

create function chat_hold_copy() returns trigger
language plpgsql as $$
begin
  -- What was typed changes in a statement of its own, after the content that it went with.
  if chat_on_hold(old.room_id, old.user_id) and (old.content is distinct from new.content or not exists (
    select from hold_copies where message_id = old.id and original = old.original))
  then
    insert into hold_copies (message_id, room_id, user_id, content, text, original, metadata)
    values (old.id, old.room_id, old.user_id, old.content, old.text, old.original, old.metadata);
  end if;
  return null;
end
$$;
create trigger hold_copy after update on messages for each row
when (old.content <> '' and (old.content is distinct from new.content
  or old.original is not null and old.original is distinct from new.original)) execute function chat_hold_copy();

-- Once no hold is on it any more, a copy goes too.
create function chat_hold_lifted() returns trigger
language plpgsql as $$
begin
  delete from hold_copies
  where (new.room_id is null or room_id = new.room_id) and (new.user_id is null or user_id = new.user_id)
    and not chat_on_hold(room_id, user_id);
  return null;
end
$$;
create trigger hold_lifted after update of lifted_at on legal_holds for each row
when (old.lifted_at is null and new.lifted_at is not null) execute function chat_hold_lifted();

-- Deletes messages of a room, numbered from `start` on and below `before`, and what hangs on them: reactions, letters, and
-- the copies in closed reports. At most `most` of them, and fewer where they have many reactions. What is on hold stays.
-- Whether there may be more; null, and nothing is deleted, where it cannot be told what is on hold.
create function chat_forget(room text, start bigint, before bigint, most bigint) returns boolean
-- The lock is waited for by every other room of the statement.
language plpgsql set lock_timeout = '100ms' as $$
declare
  kept text[];
  gone uuid[];
  at bigint := start - 1;
  left_to bigint := most;
  hung bigint := 0;
  n bigint;
begin
  -- A hold that is being placed now is waited for, or waits.
  begin
    lock table legal_holds in share mode;
  exception when lock_not_available then
    return null;
  end;
  if exists (select from legal_holds where lifted_at is null and room_id = room and user_id is null) then
    return false;
  end if;
  kept := array(
    select distinct user_id from legal_holds where lifted_at is null and user_id is not null and (room_id is null or room_id = room)
  );
  while left_to > 0 and hung < 20000 loop
    select array_agg(id), max(no) into gone, at from (
      select id, no from messages where room_id = room and no > at and no < before and user_id <> all (kept)
      order by no limit least(left_to, 200)
    ) old;
    if gone is null then
      return false;
    end if;
    delete from reactions where message_id = any (gone);
    get diagnostics n = row_count;
    hung := hung + n;
    delete from dead_letters where message_id = any (gone) and room_id = room;
    update reports set quoted = null
    where message_id = any (gone) and room_id = room and status <> 'open' and quoted is not null;
    delete from messages where id = any (gone);
    left_to := left_to - cardinality(gone);
  end loop;
  return true;
end
$$;

-- Which messages of a room, from number `first` on, are over their time: said before `before_ms`, or numbered below
-- `keep_from`. At most `most` at once, and none while the room is on hold. Also deletes what an earlier answer let go and
-- is still there: because it was on hold then, or was too much at once.
create function chat_expiry(room text, first bigint, before_ms bigint, keep_from bigint, most bigint) returns jsonb
language plpgsql as $$
declare
  stays record;
  ends bigint;
  held boolean;
  left_over boolean;
begin
  if exists (select from legal_holds where lifted_at is null and room_id = room and user_id is null) then
    return jsonb_build_object('before_no', first, 'held', true);
  end if;
  left_over := chat_forget(room, 0, first, 2000);
  -- One look: what comes between two of them would be taken for over.
  with next as materialized (
    select no, (extract(epoch from created_at) * 1000)::bigint as at,
      coalesce(created_at < to_timestamp(before_ms::float8 / 1000), false) or coalesce(no < keep_from, false) as over,
      row_number() over (order by no) > most as last
    from messages where room_id = room and no >= first order by no limit most + 1
  )
  select s.no, s.at, s.over, (select max(n.no) + 1 from next n) as after into stays
  from (values (true)) one left join (select * from next n where not n.over or n.last order by n.no limit 1) s on true;
  ends := coalesce(stays.no, stays.after, first);
  select exists (
    select from legal_holds h where lifted_at is null and user_id is not null and (room_id is null or room_id = room)
      and exists (select from messages m where m.room_id = room and m.no < ends and m.user_id = h.user_id)
  ) into held;
  return jsonb_build_object('before_no', ends, 'oldest_at', stays.at,
    'more', coalesce(stays.over, false) or coalesce(left_over, false), 'held', held or left_over is null);
end
$$;

-- The expiries after `since`, of which the last says it all. What is more than one statement should delete, or was there
-- before, goes when the room asks next.
create function chat_apply_expire(room text, ops jsonb, since bigint) returns void
language plpgsql as $$
declare
  start bigint := (select first_no from rooms where id = room);
  before bigint;
begin
  select max((o ->> 'before_no')::bigint) into before from chat_ops(ops, 'expire', since);
  update rooms set first_no = greatest(first_no, before) where id = room;
  perform chat_forget(room, coalesce(start, 0), before, 4000);
end
$$;

-- chat_apply_room calls it last of all, whatever else it does.
create function chat_with_expire(back boolean) returns void
language plpgsql as $$
declare
  definition text := pg_get_functiondef('chat_apply_room(jsonb)'::regprocedure);
  ends text := E'  return cursor_now;\nend\n';
  own text := E'  if room is not null and kinds && array[''expire''] then\n'
    || E'    perform chat_apply_expire(room, ops, since);\n  end if;\n';
begin
  execute case when back then replace(definition, own, '') else replace(definition, ends, own || ends) end;
end
$$;
select chat_with_expire(false);

-- What is given out of a room, or of a user, is read in pages by these.
create index messages_by_user on messages (user_id, room_id, no);
create index reactions_by_user on reactions (user_id, message_id, reaction);
create index reports_by_reporter on reports (reporter_id, id);
create index reports_in_order on reports (room_id, id);
create index audit_in_order on audit (room_id, id);
create index room_roles_by_user on room_roles (user_id, room_id);
create index bans_by_user on bans (user_id, room_id);

-- migrate:down

drop index bans_by_user, room_roles_by_user, audit_in_order, reports_in_order, reports_by_reporter, reactions_by_user,
  messages_by_user;

select chat_with_expire(true);
drop function chat_with_expire(boolean);
drop function chat_apply_expire(text, jsonb, bigint);
drop function chat_expiry(text, bigint, bigint, bigint, bigint);
drop function chat_forget(text, bigint, bigint, bigint);
drop trigger hold_lifted on legal_holds;
drop function chat_hold_lifted();
drop trigger hold_copy on messages;
drop function chat_hold_copy();
drop table hold_copies;
drop function chat_on_hold(text, text);
alter table rooms drop column first_no;
drop table legal_holds;

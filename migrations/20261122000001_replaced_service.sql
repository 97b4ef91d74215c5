-- migrate:up

-- Where the service that this replaces has its tables in this schema under names that ours bear, they go aside into the
-- schema `replaced`, with their rows, indexes and keys; chat_take_over copies out of them. A database without them, or
-- one that is ours already, is not touched; nor is anybody else's table that only bears such a name.
-- docs/migrating.md says how that service goes on meanwhile.
do $$
declare
  name text;
begin
  if to_regclass(format('%I.room_cursor', current_schema())) is not null then
    return;
  end if;
  -- It is that service's only with all columns that its documentation names.
  if (select count(*) from pg_attribute where (attrelid, attname) in (
      select to_regclass(format('%I.%I', current_schema(), t)), c
      from (values ('rooms', '{id,name,type,settings,created_at}'::name[]),
        ('messages', '{id,room_id,user_id,content,type,metadata,created_at,edited_at,deleted_at}')) old(t, names), unnest(names) c)) < 14
  then
    return;
  end if;
  create schema replaced;
  comment on schema replaced is 'edge-chat: the tables of the replaced service';
  foreach name in array array['rooms', 'messages', 'presence', 'reactions', 'bans', 'reports', 'blocks', 'audit',
    'room_roles', 'device_keys', 'dead_letters', 'held', 'user_cursor']
  loop
    if to_regclass(format('%I.%I', current_schema(), name)) is not null then
      execute format('alter table %I.%I set schema replaced', current_schema(), name);
    end if;
  end loop;
end
$$;

-- migrate:down

-- As they were when they went aside, and what that service has written into them since.
do $$
declare
  name text;
begin
  if obj_description(to_regnamespace('replaced'), 'pg_namespace') is distinct from 'edge-chat: the tables of the replaced service' then
    return;
  end if;
  for name in select tablename from pg_tables where schemaname = 'replaced' loop
    execute format('alter table replaced.%I set schema %I', name, current_schema());
  end loop;
  drop schema replaced;
end
$$;

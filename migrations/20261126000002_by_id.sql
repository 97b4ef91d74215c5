-- migrate:up

-- The messages that the operations after `since` change.
create function chat_ids(ops jsonb, since bigint) returns uuid[]
language sql immutable parallel safe as $$
  select coalesce(array_agg(id), '{}')
  from (
    select (x.o ->> 'id')::uuid as id
    from unnest(array['edit', 'reaction', 'original']) kind, chat_ops(ops, kind, since) x
    union all
    select d.id::uuid from chat_ops(ops, 'delete', since) x, jsonb_array_elements_text(x.o -> 'ids') d(id)
  ) touched
$$;

-- Messages are changed by their ids. A session that planned that while the tables were new may read all that the room
-- ever said for each batch instead: any index looks as good then. So the statements get a condition for the index on
-- the id, and the one on the room is kept from being any use.
create function chat_by_id(f regprocedure, back boolean) returns void
language plpgsql as $$
declare
  definition text := pg_get_functiondef(f);
  pair text[];
begin
  foreach pair slice 1 in array array[
    array[' m.room_id = room', ' m.room_id is not distinct from room and m.id = any ((select chat_ids(ops, since))::uuid[])'],
    array[' r.message_id = m.id;', ' r.message_id = m.id and r.message_id = any ((select chat_ids(ops, since))::uuid[]);']
  ] loop
    definition := case when back then replace(definition, pair[2], pair[1]) else replace(definition, pair[1], pair[2]) end;
  end loop;
  execute definition;
end
$$;

select chat_by_id('chat_apply_log(jsonb)', false);
select chat_by_id('chat_apply_moderation(text, jsonb, bigint)', false);
select chat_by_id('chat_apply_refused(jsonb, bigint)', false);

-- migrate:down

select chat_by_id('chat_apply_log(jsonb)', true);
select chat_by_id('chat_apply_moderation(text, jsonb, bigint)', true);
select chat_by_id('chat_apply_refused(jsonb, bigint)', true);
drop function chat_by_id(regprocedure, boolean);
drop function chat_ids(jsonb, bigint);

-- migrate:up

alter function chat_apply_room(jsonb) rename to chat_apply_room_in_turn;

-- Writes one batch, a room's or a user's, and moves its cursor; returns the cursor as it then is. Raises on anything
-- that cannot be written, and then nothing of the batch is.
create function chat_apply_room(b jsonb) returns jsonb
language plpgsql as $$
declare
  room text := b ->> 'room_id';
  old bigint[];
begin
  if room is not null and b ->> 'epoch' is not null and not b ? 'user' then
    -- Before anybody reads the cursor: of two first batches of an epoch the second one would take what the first one
    -- moved for its own.
    insert into room_cursor values (room, (b ->> 'epoch')::bigint, 0) on conflict do nothing;
    perform from room_cursor where room_id = room for update;
    if b -> 'ops' @> '[{"op": "edit"}]' then
      -- The log redacts in place, so a message may be written as it was after a later edit than a late batch has: nothing
      -- of that one counts, what was typed and the tag neither. The conditions are for the index: see chat_by_id.
      select array_agg(x.seq) into old
      from chat_ops(b -> 'ops', 'edit', 0) x join messages m on m.id = (x.o ->> 'id')::uuid
      where m.room_id is not distinct from room and m.edited_at > chat_time(x.o ->> 'edited_at')
        and m.id = any ((select array_agg((x.o ->> 'id')::uuid) from chat_ops(b -> 'ops', 'edit', 0) x)::uuid[]);
      if old is not null then
        b := jsonb_set(b, '{ops}', (
          select coalesce(jsonb_agg(e order by n), '[]') from jsonb_array_elements(b -> 'ops') with ordinality t(e, n)
          where e ->> 'op' not in ('edit', 'original', 'franking') or (e ->> 'seq')::bigint <> all (old)));
      end if;
    end if;
  end if;
  return chat_apply_room_in_turn(b);
end
$$;

-- migrate:down

drop function chat_apply_room(jsonb);
alter function chat_apply_room_in_turn(jsonb) rename to chat_apply_room;

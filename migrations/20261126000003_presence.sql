-- migrate:up

-- Aging looks for the oldest rows of all rooms.
create index presence_by_age on presence (last_seen);

-- Takes in who is in some rooms: of each room a JSON text {"room_id", "at" (ms), "users": [[user_id, socket_id], …]} with
-- everybody who is there at that time; who is not in it has left. A report that cannot be read is passed over, since
-- another follows. The answer is how many were taken.
--
-- Rows that were not refreshed for 75 minutes go: a room that is awake refreshes its own every minute, and one that is
-- asleep no more than hourly.
create function chat_presence(reports text[]) returns int language plpgsql as $$
declare
  report jsonb;
  room text;
  seen timestamptz;
  taken int := 0;
begin
  for i in 1 .. coalesce(array_length(reports, 1), 0) loop
    begin
      report := reports[i]::jsonb;
      room := report ->> 'room_id';
      seen := to_timestamp((report ->> 'at')::numeric / 1000);
      delete from presence p
        where p.room_id = room and p.last_seen < seen
          and not exists (select from jsonb_array_elements(report -> 'users') u where u ->> 0 = p.user_id);
      insert into presence as p (user_id, room_id, socket_id, last_seen)
        select u ->> 0, room, u ->> 1, seen from jsonb_array_elements(report -> 'users') u order by 1
        on conflict (user_id, room_id) do update
          set socket_id = excluded.socket_id, last_seen = excluded.last_seen
          -- A report that comes late changes nothing.
          where p.last_seen < excluded.last_seen;
      taken := taken + 1;
    exception when others then
      raise warning 'chat_presence: %', sqlerrm;
    end;
  end loop;
  -- A little at a time, and never in the way of another call.
  delete from presence where ctid in (
    select ctid from presence where last_seen < now() - interval '75 minutes' limit 1000 for update skip locked);
  return taken;
end
$$;

-- migrate:down

drop function chat_presence(text[]);
drop index presence_by_age;

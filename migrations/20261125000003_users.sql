-- migrate:up

-- What users did themselves belongs to no room.
alter table audit alter column room_id drop not null;

-- How far each user's own acts have been written here. The larger epoch wins.
create table user_cursor (
  user_id text primary key,
  epoch bigint not null,
  seq bigint not null
);

-- Writes what a user did, numbered, and moves the user's cursor; returns the cursor as it then is. Raises on anything
-- that cannot be written, and then nothing of the batch is.
create function chat_apply_user(b jsonb) returns jsonb
language plpgsql as $$
declare
  who text := b ->> 'user';
  batch_epoch bigint := b ->> 'epoch';
  to_seq bigint := b ->> 'to';
  ops jsonb := b -> 'ops';
  stored_epoch bigint;
  since bigint;
begin
  if who is null or batch_epoch is null or to_seq is null then
    raise null_value_not_allowed using message = 'a batch needs user, epoch and to';
  end if;

  insert into user_cursor values (who, batch_epoch, 0) on conflict do nothing;
  select epoch, seq into stored_epoch, since from user_cursor where user_id = who for update;
  if batch_epoch < stored_epoch then
    return jsonb_build_object('epoch', stored_epoch, 'seq', since);
  end if;
  if batch_epoch > stored_epoch then
    since := 0;
  end if;
  if to_seq <= since then
    return jsonb_build_object('epoch', batch_epoch, 'seq', since);
  end if;

  with final as (
    select distinct on (1) o ->> 'target' as target, o ->> 'op' as op, chat_time(o ->> 'at') as at
    from (select * from chat_ops(ops, 'block', since) union all select * from chat_ops(ops, 'unblock', since)) x
    order by 1, seq desc
  ), removed as (
    delete from blocks using final where op = 'unblock' and user_id = who and blocked_id = target
  )
  insert into blocks (user_id, blocked_id, created_at)
  select who, target, at from final where op = 'block'
  on conflict (user_id, blocked_id) do update set created_at = excluded.created_at;

  -- Named after the act, so that a repeat is the same line.
  insert into audit (id, room_id, actor_id, action, target, created_at)
  select md5('user ' || who || ' ' || batch_epoch || ' ' || x.seq)::uuid, null, who, n.action, x.o ->> 'target',
    chat_time(x.o ->> 'at')
  from (values ('block', 'block_user'), ('unblock', 'unblock_user'), ('sign_out', 'sign_out')) n (op, action),
    chat_ops(ops, n.op, since) x
  on conflict do nothing;

  update user_cursor set epoch = batch_epoch, seq = to_seq where user_id = who;
  return jsonb_build_object('epoch', batch_epoch, 'seq', to_seq);
end
$$;

-- migrate:down

drop function chat_apply_user(jsonb);
drop table user_cursor;
delete from audit where room_id is null;
alter table audit alter column room_id set not null;

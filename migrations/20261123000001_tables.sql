-- migrate:up

-- What the rooms' logs drain into: the final state, complete up to each room's cursor. No foreign keys between these
-- tables: each is written from a log that is already checked, and a row may come before the one it speaks of.

create table rooms (
  id text primary key,
  name text not null,
  type text not null check (type in ('video', 'stream', 'group', 'direct')),
  settings jsonb not null default '{}',
  -- Ids of messages, newest first.
  pinned jsonb not null default '[]',
  owner_id text,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  -- A tombstone: without it a deleted room would come back without its bans.
  deleted_at timestamptz
);

create table messages (
  id uuid primary key,
  room_id text not null,
  no bigint not null,
  user_id text not null,
  -- The sender as he was when he said it.
  username text not null,
  avatar text,
  roles jsonb not null default '[]',
  content text not null,
  -- The plain text where it differs from content.
  text text,
  type text not null check (type in ('text', 'emote', 'encrypted', 'system', 'unavailable')),
  metadata jsonb not null default '{}',
  mentions jsonb not null default '[]',
  reply_to uuid,
  client_id text,
  audience text not null default 'all'
    check (audience in ('all', 'moderators', 'internal') or audience like 'user:_%'),
  visible_at timestamptz not null,
  created_at timestamptz not null,
  edited_at timestamptz,
  deleted_at timestamptz,
  epoch bigint not null,
  seq bigint not null,
  -- Pages of history are ranges of no.
  unique (room_id, no)
);

create table reactions (
  message_id uuid not null,
  user_id text not null,
  reaction text not null,
  created_at timestamptz not null,
  primary key (message_id, user_id, reaction)
);

create table room_roles (
  room_id text not null,
  user_id text not null,
  role text not null check (role in ('member', 'moderator', 'owner', 'admin')),
  username text,
  updated_at timestamptz not null,
  primary key (room_id, user_id)
);

create table presence (
  user_id text not null,
  room_id text not null,
  socket_id text not null,
  last_seen timestamptz not null,
  primary key (user_id, room_id)
);
create index presence_by_room on presence (room_id, last_seen);

-- How far each room's log has been written here. The larger epoch wins.
create table room_cursor (
  room_id text primary key,
  epoch bigint not null,
  seq bigint not null
);

-- Operations that could not be written, as they came.
create table dead_letters (
  room_id text not null,
  epoch bigint not null,
  seq bigint not null,
  sqlstate text not null,
  error text not null,
  body text not null,
  created_at timestamptz not null default now(),
  primary key (room_id, epoch, seq)
);

create table bans (
  room_id text not null,
  user_id text not null,
  username text,
  reason text,
  shadow boolean not null default false,
  banned_by text not null,
  created_at timestamptz not null,
  -- Null: for good.
  ends_at timestamptz,
  primary key (room_id, user_id)
);

create table reports (
  id uuid primary key,
  room_id text not null,
  message_id uuid not null,
  reporter_id text not null,
  reason text not null check (reason in ('spam', 'abuse', 'hate', 'sexual', 'violence', 'other')),
  details text,
  -- The message as it was reported: it may be deleted before anyone looks.
  quoted text,
  status text not null default 'open' check (status in ('open', 'resolved', 'dismissed')),
  created_at timestamptz not null,
  resolved_at timestamptz,
  resolved_by text,
  resolution text,
  unique (message_id, reporter_id)
);
create index reports_by_room on reports (room_id, status, created_at);

create table blocks (
  user_id text not null,
  blocked_id text not null,
  created_at timestamptz not null,
  primary key (user_id, blocked_id)
);

create table audit (
  id uuid primary key,
  room_id text not null,
  actor_id text not null,
  action text not null,
  target text,
  details jsonb not null default '{}',
  created_at timestamptz not null
);
create index audit_by_room on audit (room_id, created_at);

create table device_keys (
  user_id text not null,
  device_id text not null,
  keys jsonb not null,
  updated_at timestamptz not null,
  primary key (user_id, device_id)
);

-- migrate:down

drop table device_keys, audit, blocks, reports, bans, dead_letters, room_cursor, presence, room_roles, reactions,
  messages, rooms;

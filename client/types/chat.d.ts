// `@edge-chat/client`: connecting to a room, and what one does there.

import type { ChatError } from "./errors.js";
import type {
  AllowReply,
  Ban,
  Bans,
  BlockList,
  Can,
  DeleteManyReply,
  DeleteReply,
  EditReply,
  Envelope,
  FilterAction,
  Held,
  HeldList,
  History,
  JoinReply,
  LeftOut,
  Member,
  Members,
  Message,
  MessageType,
  Modes,
  OpenedReport,
  PinReply,
  ReactReply,
  Report,
  Reported,
  ReportPage,
  ReportReason,
  ReportStatus,
  Role,
  RoleReply,
  Room,
  RoomCommands,
  RoomEvents,
  RoomStats,
  SendReply,
  Terms,
  Tried,
  UserSeen,
  Viewer,
} from "./protocol.js";

export * from "./errors.js";
export * from "./protocol.js";

/** A `Storage`, as far as it is needed. */
export interface KeyValueStore {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem?(key: string): void;
}

/** A `WebSocket`, as far as it is needed: the browser's, Node's and that of the package `ws` are. */
export interface Socket {
  readonly readyState: number;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  send(text: string): void;
  close(): void;
}

/** Why a token is asked for: before the first connect, after one was refused, or before one ends. */
export type TokenReason = "connect" | "refused" | "refresh";

/** Where a token comes from; without either the viewer is a guest. */
export interface TokenOptions {
  /** The token, where it lasts. */
  token?: string | null;
  /** Asked for a token, and for a newer one where that helps; at most 15 s. */
  getToken?: ((asked: { reason: TokenReason }) => string | null | undefined | Promise<string | null | undefined>) | null;
}

export interface ConnectOptions extends TokenOptions {
  /** The room's id. */
  room: string;
  /** The service's origin, `https://chat.example.org`; the page's own without it. */
  url?: string;
  /** Keeps a guest's random name; localStorage without it. */
  storage?: KeyValueStore | null;
  /** Keeps messages that were not answered over a reload; sessionStorage without it, null: nowhere. */
  tabStorage?: KeyValueStore | null;
  /** In place of the global one. */
  WebSocket?: new (url: string, protocols: string[]) => Socket;
  /** In place of the global one. */
  fetch?: typeof globalThis.fetch;
}

export type ChatState = "connecting" | "online" | "waiting" | "ended";

export interface StateChange {
  state: ChatState;
  /** Why it waits or ended; null otherwise. */
  error: ChatError | null;
  /** When it tries again, ms; null where it does not wait. */
  retry_in_ms: number | null;
  /** The service asked for the wait: `retry()` does not shorten it. */
  asked: boolean;
  /** For how long there was no connection, when it is online again; null the first time. */
  away_ms: number | null;
  /** Another part of the room serves this viewer now: nothing is to be shown for it. */
  moving: boolean;
}

export interface Snapshot {
  /** The list from now on, oldest first. */
  messages: Message[];
  /** `message_id` → one's own reactions. */
  my_reactions: Record<string, string[]>;
  epoch: number;
}

/** A message that an earlier life of this page sent and did not see answered. */
export interface Unsent {
  client_id: string;
  content: string;
  type: MessageType;
  reply_to?: string;
  mentions?: string[];
  metadata?: Record<string, unknown>;
  franking?: string;
  /** When it was sent first, ms since 1970. */
  at: number;
  /** Older than an hour: it is not sent again by itself. */
  late: boolean;
  /** Settles as `send` does; null where it is `late`. */
  reply: Promise<Sent> | null;
}

/** What the connection itself tells. */
export interface ClientEvents {
  state: StateChange;
  /** The reply to each join. */
  joined: JoinReply;
  /** The list was replaced. */
  snapshot: Snapshot;
  unsent: Unsent;
  /** So many messages were said that a large room did not send to this viewer; history has them. */
  left_out: { count: number };
  /** Everything that the room says, once and in order. */
  event: Envelope;
}

/** A message that is stored: where `held` is true it waits for a moderator, under `message_id`. */
export type Sent = SendReply & { client_id: string };

export interface SendOptions {
  /** A random name of at most 64 characters: the same one never makes a second message. */
  client_id?: string;
  type?: MessageType;
  /** The id of a message of this room. */
  reply_to?: string;
  /** Ids of users, at most 20. */
  mentions?: string[];
  /** At most 1,024 bytes of JSON. */
  metadata?: Record<string, unknown>;
  /** The tag of an encrypted message. */
  franking?: string;
}

export interface HistoryQuery {
  /** Messages before this `no`, newest first. */
  before?: number;
  /** Messages after this `no`, oldest first. */
  after?: number;
  /** 1–100; 50 without it. */
  limit?: number;
}

/** A connection to one room. Made by `connect`. */
export interface Chat {
  readonly room: string;
  readonly origin: string;
  readonly state: ChatState;
  /** Who one is here, by the last join; null before it. */
  readonly self: Viewer | null;
  /** Where this client stands in the room's log. */
  readonly position: { epoch: number | null; seq: number };
  /** Events that the room does not send now, for there are too many here. */
  readonly leftOut: LeftOut[];

  /** Calls `listener` at each event of that name; the returned function stops that. */
  on<Name extends keyof RoomEvents>(name: Name, listener: (data: RoomEvents[Name], envelope: Envelope<Name>) => void): () => void;
  on<Name extends keyof ClientEvents>(name: Name, listener: (value: ClientEvents[Name]) => void): () => void;

  /** Says something; resolves once it is stored. Said without a connection, it is sent when there is one. */
  send(content: string, options?: SendOptions): Promise<Sent>;
  /** A message that was not sent is not to be: it does not come back when the page is loaded anew. */
  forget(client_id: string): void;
  edit(message_id: string, content: string, options?: { franking?: string }): Promise<EditReply>;
  remove(message_id: string): Promise<DeleteReply>;
  /** Adds (or with `remove`, takes back) one's reaction, one grapheme cluster; both may be repeated. */
  react(message_id: string, reaction: string, options?: { remove?: boolean }): Promise<ReactReply>;
  /** Says that one is typing, at most every 3 s, or that one stopped; lost when offline. */
  typing(is_typing: boolean): void;
  /** A page of history; without a query the newest. */
  history(query?: HistoryQuery): Promise<History>;
  members(query?: { limit?: number; cursor?: number }): Promise<Members>;
  /** The message of this id, wherever it is in the room's history. */
  find(message_id: string): Promise<Message | undefined>;
  /** Asks for anything that is safe to repeat; it is asked again after a reconnect until it is answered. */
  request<Name extends keyof RoomCommands>(event: Name, data: RoomCommands[Name]["data"]): Promise<RoomCommands[Name]["reply"]>;

  /** Asks `getToken` for a newer token of the same user and hands it in on the open socket. */
  renew(): Promise<void>;
  /** Joins again on the open socket, with a new snapshot. */
  rejoin(): void;
  /** Tries again now where it waits, unless the service asked for that wait; returns whether it does. */
  retry(): boolean;
  /** Leaves for good; what is unanswered is rejected with `closed`. */
  close(): void;

  pin(message_id: string): Promise<PinReply>;
  unpin(message_id: string): Promise<PinReply>;
  /** Speaks in the room's name: once, so a lost answer may mean that it was said. */
  announce(content: string): Promise<SendReply>;
  /** `details`: at most 1,000 characters. */
  report(message_id: string, report: { reason: ReportReason; details?: string }): Promise<Reported>;

  /** For `duration_s` seconds, or for good; with `shadow` the user is told nothing and nobody sees what they say. */
  ban(
    user_id: string,
    options?: { duration_s?: number; reason?: string; delete_messages_s?: number; shadow?: boolean },
  ): Promise<Ban>;
  unban(user_id: string): Promise<unknown>;
  /** All that the user said in the room's log. */
  removeAllOf(user_id: string, options?: { reason?: string }): Promise<Pick<DeleteManyReply, "deleted">>;
  /** null: none any more. */
  setRole(user_id: string, role: Role | null): Promise<RoleReply>;
  /** Hides what the user says from oneself, in all rooms. */
  block(user_id: string): Promise<unknown>;
  unblock(user_id: string): Promise<unknown>;

  /** All that was said in the room's log. */
  clear(options?: { reason?: string }): Promise<Pick<DeleteManyReply, "deleted">>;
  /** A part of the room's modes: `{slow_s: 30}`; null sets one back. */
  setModes(modes: Modes): Promise<unknown>;
  allow(held_id: string): Promise<AllowReply>;
  deny(held_id: string, options?: { reason?: string }): Promise<unknown>;
  /** All terms, instead of those that were. */
  setTerms(terms: { blocked?: string[]; allowed?: string[]; action?: FilterAction }): Promise<Terms>;
  /** What would become of `content`, with these terms or the room's own. */
  testTerms(content: string, terms?: { blocked?: string[]; allowed?: string[]; action?: FilterAction }): Promise<Tried>;
  resolveReport(report_id: string, decision: { status: Exclude<ReportStatus, "open">; resolution?: string }): Promise<Report>;

  /** The bans that hold now. */
  bans(): Promise<Bans>;
  /** What waits for a moderator, oldest first. */
  held(): Promise<HeldList>;
  terms(): Promise<Terms>;
  /** Newest first. */
  reports(query?: { status?: ReportStatus; before?: string; limit?: number }): Promise<ReportPage>;
  /** One report, with the messages around it. */
  reported(report_id: string): Promise<OpenedReport>;
  /** Whom one has blocked. */
  blocks(): Promise<BlockList>;
}

/** Connects to a room and stays connected until `close()`. Throws a TypeError where the options make no connection. */
export declare function connect(options: ConnectOptions): Chat;

/** A message as a page shows it: with one's own reactions. */
export type ShownMessage = Message & { mine: string[] };

/** One's own message on its way. */
export interface Pending {
  client_id: string;
  content: string;
  reply_to?: string;
  timestamp?: string;
  state: "sending" | "sent" | "failed" | "held" | "denied";
  error: ChatError | null;
  held_id?: string;
  /** Of one that was denied. */
  outcome?: "denied" | "expired" | "allowed";
  reason?: string;
}

/** What a room looks like to one viewer: a fold of replies and events, with no page in it. */
export declare class RoomModel {
  room: Room | null;
  self: Viewer | null;
  /** Oldest first. A changed message is a new object. */
  messages: ShownMessage[];
  /** By `user_id`; null where the room is too large to list. */
  members: Map<string, Member> | null;
  stats: Pick<RoomStats, "online_users" | "online_guests" | "message_count">;
  /** By `client_id`. */
  pending: Map<string, Pending>;
  /** By `held_id`: what a moderator has to decide about. */
  held: Map<string, Held>;
  /** By `report_id`: those that are open. */
  reports: Map<string, Report>;
  /** Ids of the users whom one has blocked, as far as that is known here. */
  blocked: Set<string>;
  leftOut: LeftOut[];
  /** How many messages were not sent to this viewer since the list was last whole. */
  notShown: number;
  /** Whether older messages can be fetched. */
  hasMore: boolean;
  /** `message_id` → how many messages before that one were forgotten by `shed`. */
  gaps: Map<string, number>;
  /** The messages without those of blocked users. */
  get shown(): ShownMessage[];

  joined(reply: JoinReply): void;
  snapshot(snapshot: Pick<Snapshot, "messages"> & Partial<Snapshot>): void;
  /** Each event; `now` in ms. */
  apply(envelope: Pick<Envelope, "event" | "data">, now: number): void;
  sampled(said: { count: number }): void;
  /** The list over REST: after a time without joins and leaves. */
  present(page: Pick<Members, "members">): void;
  /** Adds a page of history; how many messages were new, or null where it is not of this list any more. */
  prepend(page: Pick<History, "messages" | "has_more" | "my_reactions">, before?: number): number | null;
  /** Forgets all but the newest `count`. */
  trim(count: number): void;
  /** For a view that does not follow the newest: of what came after the message `no` keeps the oldest and the newest `count`. */
  shed(no: number, count: number): void;
  hides(user_id: string): boolean;
  /** Whether the viewer may do this now. */
  can(what: Can): boolean;
  /** What a moderator is to decide, as the lists over REST have it. */
  queues(lists: { held?: Held[]; reports?: Report[] }): void;
  find(message_id: string): ShownMessage | undefined;
  /** Those who type at `now`, oldest first. */
  typing(now: number): (UserSeen & { until: number })[];
  /** One's own reaction changed: events show counts only. */
  setMine(message_id: string, reaction: string, on: boolean): void;
  addPending(item: Pick<Pending, "client_id" | "content"> & Partial<Pending>): void;
  /** The send was answered. */
  settlePending(client_id: string, state: Pending["state"], error?: ChatError | null, held_id?: string): void;
}

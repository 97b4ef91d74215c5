// `@edge-chat/client/inbox`: new private messages and mentions, wherever in the chat they are said.

import type { ChatError, ChatState, ClientEvents, ConnectOptions, DevicesChanged, Inbox as Told, InboxReason, InboxRoom as ToldRoom } from "./chat.js";

/** What the inbox knows of a room. `type` is not there where a change tells of a new room first. */
export type InboxRoom = Omit<ToldRoom, "type"> & Partial<Pick<ToldRoom, "type">>;

/** How many private messages and mentions are not read. */
export interface Unread {
  direct: number;
  mentions: number;
}

export interface InboxListeners {
  state: ClientEvents["state"];
  /** All of it, after each connect. */
  inbox: Told;
  inbox_changed: InboxRoom & { reason: InboxReason };
  /** Something new was said there, also while there was no connection. */
  direct_message: InboxRoom;
  mention: InboxRoom;
  unread: Unread;
  devices_changed: DevicesChanged;
}

export declare class Inbox {
  readonly state: ChatState;
  /** Whether the server has told of the inbox. */
  readonly isKnown: boolean;
  /** What changed last comes first. */
  readonly rooms: InboxRoom[];
  readonly unread: Unread;

  on<Name extends keyof InboxListeners>(name: Name, listener: (value: InboxListeners[Name]) => void): () => void;

  room(room_id: string): InboxRoom | undefined;
  /** What was said up to `seq` was read; without it all that the inbox knows of. */
  markRead(room_id: string, seq?: number): Promise<void>;
  /** Tries again now where it waits, unless the server asked for that wait; returns whether it does. */
  retry(): boolean;
  close(): void;
}

/** Opens the inbox of the signed-in user and keeps it open until `close()`. */
export declare function openInbox(options?: Omit<ConnectOptions, "room" | "storage" | "tabStorage">): Inbox;

export type { ChatError };

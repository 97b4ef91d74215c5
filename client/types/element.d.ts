// `@edge-chat/client/element`: importing it defines `<edge-chat>`.

import type { Chat, ChatError, ChatState, RoomModel, RoomStats, TokenOptions } from "./chat.js";

/** The element's own events, each a `CustomEvent`. */
export interface EdgeChatEvents {
  "edge-chat-state": CustomEvent<{ state: ChatState; error: ChatError | null }>;
  "edge-chat-stats": CustomEvent<Pick<RoomStats, "online_users" | "online_guests" | "message_count">>;
  "edge-chat-unread": CustomEvent<{ unread: number }>;
}

/** What may stand in the tag. */
export interface EdgeChatAttributes {
  room?: string;
  /** Without it the viewer is a guest; a newer one may be set at any time. */
  token?: string;
  /** The service's origin; where the module came from without it. */
  url?: string;
  /** The system's without it. */
  theme?: "light" | "dark";
}

/** `<edge-chat room="video_123" token="…">`: one room in a box. */
export declare class EdgeChat extends HTMLElement {
  /** In place of `token`, where tokens end soon; set it before `room`. */
  getToken: TokenOptions["getToken"];
  /** The connection in use; null while no room is set. */
  get chat(): Chat | null;
  /** Messages that came while the list was scrolled up or the page hidden. */
  get unread(): number;
  /** What is shown. */
  readonly model: RoomModel;
  /** To the field where one types. */
  focus(): void;
  /** Fetches and draws the page of history before what is loaded. */
  loadOlder(limit?: number): Promise<void>;

  addEventListener<Name extends keyof EdgeChatEvents>(
    type: Name,
    listener: (this: EdgeChat, event: EdgeChatEvents[Name]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener<Name extends keyof HTMLElementEventMap>(
    type: Name,
    listener: (this: EdgeChat, event: HTMLElementEventMap[Name]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
}

declare global {
  interface HTMLElementTagNameMap {
    "edge-chat": EdgeChat;
  }
}

// `@edge-chat/client/element`: importing it defines `<edge-chat>`.

import type { Unread } from "./inbox.js";
import type { Chat, ChatError, ChatState, RoomModel, RoomStats, TokenOptions } from "./chat.js";

/** The element's own events, each a `CustomEvent`. */
export interface EdgeChatEvents {
  "edge-chat-state": CustomEvent<{ state: ChatState; error: ChatError | null }>;
  "edge-chat-stats": CustomEvent<Pick<RoomStats, "online_users" | "online_guests" | "message_count">>;
  "edge-chat-unread": CustomEvent<{ unread: number }>;
  /** With `private`: what is not read, anywhere in the chat. */
  "edge-chat-inbox": CustomEvent<Unread>;
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
  /** Which language is spoken; without it that of what is around it. */
  lang?: string;
  /** Whoever is signed in has private messages here too. */
  private?: "" | "private";
}

/** Sentences by key; a missing one is said in English. */
export type Catalogue = Record<string, unknown>;

/** `<edge-chat room="video_123" token="…">`: one room in a box. */
export declare class EdgeChat extends HTMLElement {
  /** Adds a language, or changes sentences of one: see docs/element.md. */
  static translate(language: string, catalogue: Catalogue | (() => Catalogue | Promise<Catalogue>)): void;
  /** In place of `token`, where tokens end soon; set it whenever you like, another function starts afresh. */
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

// `@edge-chat/client/private`: messages that only two people can read.

import type {
  Chat,
  ChatError,
  ClientEvents,
  ConnectOptions,
  DeleteReply,
  Device,
  DeviceList,
  EditReply,
  Envelope,
  History,
  HistoryQuery,
  Message,
  Reported,
  ReportReason,
  RoomEvents,
  Sent,
  Snapshot,
  UnreadableCode,
  Unsent,
} from "./chat.js";
import type { Inbox } from "./inbox.js";

export { openInbox } from "./inbox.js";

/** Where a device's keys are kept. */
export interface KeyStore {
  /** Runs `work` while no other page of this user runs one. */
  lock<T>(work: () => Promise<T>): Promise<T>;
  /** A number that each write changes. */
  generation(): Promise<number>;
  read(): Promise<{ key: Uint8Array; records: [string, string][] } | null>;
  /** All of the changes or none; gives the new generation. */
  write(changes: [string, string][], key: Uint8Array): Promise<number>;
  clear(): Promise<void>;
}

/** Keeps them as long as the object; for programs that have no browser. */
export declare class MemoryStore implements KeyStore {
  lock<T>(work: () => Promise<T>): Promise<T>;
  generation(): Promise<number>;
  read(): Promise<{ key: Uint8Array; records: [string, string][] } | null>;
  write(changes: [string, string][], key: Uint8Array): Promise<number>;
  clear(): Promise<void>;
}

export interface PrivateOptions extends Omit<ConnectOptions, "room"> {
  /** Shown in the list of one's devices. */
  deviceName?: string;
  /** This browser without it. */
  store?: KeyStore;
  /** The bytes of `crypto_bg.wasm`, where they cannot be fetched beside the module (Node). */
  wasm?: ArrayBuffer | ArrayBufferView;
  /** A new device, where this one was removed or what the browser kept cannot be read. */
  renew?: boolean;
  /** One that is open already, or null for none: then nobody tells of devices that change. */
  inbox?: Inbox | null;
}

/** Instead of a message that cannot be shown: a sentence to show. */
export interface Unreadable {
  code: UnreadableCode;
  message: string;
}

/** What only this module says of a message. */
export interface Read {
  /** Plain text; null where it is deleted or cannot be read. */
  body: string | null;
  unreadable?: Unreadable;
  /** False where the server could read it too, which a page has to show. */
  encrypted?: boolean;
  /** Its author's device. */
  device_id?: string;
}

export type PrivateMessage = Message & Read;

export interface DirectEvents extends Pick<ClientEvents, "state" | "joined" | "left_out" | "event"> {
  snapshot: Omit<Snapshot, "messages"> & { messages: PrivateMessage[] };
  unsent: Unsent & Omit<Read, "device_id">;
}

type DirectRoomEvents = Omit<RoomEvents, "new_message" | "message_edited"> & {
  new_message: PrivateMessage;
  message_edited: RoomEvents["message_edited"] & Read;
};

/** The talk with one other user. */
export interface Direct {
  /** The connection; what it says comes here again, read. */
  readonly chat: Chat;
  readonly room: string;
  /** The other one's id. */
  readonly other: string;

  on<Name extends keyof DirectRoomEvents>(
    name: Name,
    listener: (data: DirectRoomEvents[Name], envelope: Omit<Envelope<Name>, "data"> & { data: DirectRoomEvents[Name] }) => void,
  ): () => void;
  on<Name extends keyof DirectEvents>(name: Name, listener: (value: DirectEvents[Name]) => void): () => void;

  /** Resolves once the ciphertext is stored. */
  send(body: string, options?: { client_id?: string; reply_to?: string }): Promise<Sent>;
  edit(message_id: string, body: string): Promise<EditReply>;
  remove(message_id: string): Promise<DeleteReply>;
  history(query?: HistoryQuery): Promise<Omit<History, "messages"> & { messages: PrivateMessage[] }>;
  /** Reads a message again, after `keys`. */
  read(message: Message): Promise<PrivateMessage>;
  /** Reveals this message, and no other, to moderators; one that cannot be read is reported without its words. */
  report(message: Message, report: { reason: ReportReason; details?: string }): Promise<Reported>;
  close(): void;
}

export interface PrivateEvents {
  /** Keys came with which older messages may be readable now. */
  keys: undefined;
  /** Somebody's list has a device that was never in it. */
  device_added: { user_id: string; device_id: string };
  /** Messages are encrypted for other devices than before. */
  safety_number_changed: { user_id: string; safety_number: string };
  /** The backup was renewed. */
  backup: { sessions: number; left_out: number };
  backup_failed: ChatError;
}

/** This device, and what it can open. */
export interface PrivateMessages {
  readonly user_id: string;
  readonly device_id: string;
  readonly origin: string;
  /** New private messages, and how many are not read. */
  readonly inbox: Inbox | null;

  on<Name extends keyof PrivateEvents>(name: Name, listener: (value: PrivateEvents[Name]) => void): () => void;

  /** The talk with this user; the room is made where it is not there yet. */
  openDirect(user_id: string, options?: Partial<ConnectOptions>): Promise<Direct>;

  /** One's own without an id. */
  devices(user_id?: string): Promise<DeviceList>;
  renameDevice(device_id: string, name: string): Promise<DeviceList>;
  /** What is said from now on, that device cannot read. */
  removeDevice(device_id: string): Promise<void>;
  /** The devices of this user are not what they were: they are asked for before the next message. */
  devicesChanged(user_id: string): void;
  /** Sixty digits that are the same on both sides, unless the server put a device between them. */
  safetyNumber(user_id: string): Promise<string>;

  /** Keeps at the server, sealed, what a new device needs to read old messages. The user writes `recovery_key` down. */
  backup(options?: { replace?: boolean }): Promise<{ recovery_key: string; sessions: number; left_out: number }>;
  /** `there`: the server keeps a backup; `opens`: this device has a recovery key, which it is sealed with. */
  backupState(): Promise<{ there: boolean; opens: boolean }>;
  /** Takes what the backup has; `sessions`: how many were new. */
  restore(recovery_key: string): Promise<{ sessions: number }>;

  /** No backup is renewed any more, and the inbox that was opened here is closed; rooms are closed one by one. */
  close(): void;
}

/** Opens this browser's device, and makes it where there is none yet. */
export declare function openPrivate(options?: PrivateOptions): Promise<PrivateMessages>;

export type { Device, DeviceList };
